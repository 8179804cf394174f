import type { ChannelTarget } from '../workers/channel-target.js'

/** What a worker has done of what makes it ready. JSON. */
export interface ReadyState {
  readonly listening: boolean
  readonly said: boolean
}

/** Holds back workers whose programs say themselves when they are ready, until they have said so. */
export class ExplicitReady {
  /** They listen, or wait for hand-overs, and are to say that they are ready. */
  readonly #listening = new WeakSet<ChannelTarget>()
  readonly #said = new WeakSet<ChannelTarget>()

  /** A worker listens. @param asked  its program is to say that it is ready @returns whether it is */
  listens(target: ChannelTarget, asked: boolean): boolean {
    if (asked) this.#listening.add(target)
    return !asked || this.#said.has(target)
  }

  /** The program said that it is ready. @returns whether it was waited for */
  said(target: ChannelTarget): boolean {
    const waited = this.#listening.has(target) && !this.#said.has(target)
    this.#said.add(target)
    return waited
  }

  /** What is known of a worker. */
  state(target: ChannelTarget | null): ReadyState {
    if (target === null) return { listening: false, said: false }
    return { listening: this.#listening.has(target), said: this.#said.has(target) }
  }

  /** Goes on with what somebody else knew. */
  resume(target: ChannelTarget, { listening, said }: ReadyState): void {
    if (listening) this.#listening.add(target)
    if (said) this.#said.add(target)
  }

  /** Whether nothing but that word is missing. */
  awaits(target: ChannelTarget | null): boolean {
    return target !== null && this.#listening.has(target) && !this.#said.has(target)
  }
}
