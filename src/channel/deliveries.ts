import { guarded } from '../guarded.js'
import { closeMany } from '../syscalls/descriptor.js'
import type { LinkHandlers } from './handlers.js'

interface Delivery {
  /** What a message says; undefined for all else. */
  message?: unknown
  /** A listening port: its descriptor, or none where there was no room for it. */
  listens?: boolean
  /** The port of transports, or a port itself. */
  tag: number
  descriptors: Int32Array
  /** What is said of each transport. */
  details: readonly unknown[] | null
}

const NO_DESCRIPTORS = new Int32Array(0)

/**
 * What has arrived and is not handed out yet, in order. Owns the descriptors.
 *
 * Invariant: descriptors are handed out only once the kernel has the claim for them. Until then the peer may still
 * redirect what it sent, so at the peer's end they are closed.
 */
export class Deliveries {
  readonly #handlers: LinkHandlers
  #waiting: Delivery[] = []
  /** What somebody waits for, who runs no event loop meanwhile. */
  awaited: ((message: unknown) => boolean) | null = null

  constructor(handlers: LinkHandlers) {
    this.#handlers = handlers
  }

  get count(): number {
    return this.#waiting.length
  }

  addMessage(message: unknown): void {
    this.#waiting.push({ message, tag: 0, descriptors: NO_DESCRIPTORS, details: null })
  }

  /** Takes the descriptors. */
  addTransports(tag: number, descriptors: Int32Array, details: readonly unknown[] | null): void {
    this.#waiting.push({ tag, descriptors, details })
  }

  /** Takes the descriptor. */
  addPort(tag: number, descriptor: Int32Array): void {
    this.#waiting.push({ listens: true, tag, descriptors: descriptor, details: null })
  }

  /** Whether what is awaited is here. */
  get isAnswered(): boolean {
    const { awaited } = this
    return awaited !== null && this.#waiting.some(({ message }) => message !== undefined && awaited(message))
  }

  /** Takes the first message that is wanted out of its turn. */
  pick<Wanted>(wanted: (message: unknown) => message is Wanted): Wanted | undefined {
    const at = this.#waiting.findIndex(({ message }) => message !== undefined && wanted(message))
    return at < 0 ? undefined : (this.#waiting.splice(at, 1)[0]?.message as Wanted)
  }

  /** Hands out everything, or, while claims are unsent, what comes before the first descriptor. */
  handOut(claimsSent: boolean): void {
    if (this.#waiting.length === 0) return
    const first = claimsSent ? -1 : this.#waiting.findIndex(({ descriptors }) => descriptors.length > 0)
    for (const delivery of this.#waiting.splice(0, first < 0 ? this.#waiting.length : first)) this.#hand(delivery)
  }

  /**
   * At the peer's end: what it said is still heard, and what waits at a port is this side's to serve; descriptors that are
   * not claimed are closed.
   */
  handLast(): void {
    for (const delivery of this.#waiting.splice(0)) {
      if (delivery.descriptors.length === 0 || delivery.listens) this.#hand(delivery)
      else closeMany(delivery.descriptors)
    }
  }

  #hand({ message, listens, tag, descriptors, details }: Delivery): void {
    const { transports: onTransports, message: onMessage, port: onPort } = this.#handlers
    guarded(() => {
      if (listens) onPort?.(tag, descriptors[0] ?? null)
      else if (message === undefined) onTransports?.(tag, descriptors, details)
      else onMessage?.(message)
    })
  }
}
