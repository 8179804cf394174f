import { HandoverError } from '../../errors.js'

/** Whether a supervisor is its own still, is being handed over, or is another's. */
export class Succession {
  #underWay: { readonly stop: AbortController; readonly done: Promise<unknown> } | null = null
  #replaced = false

  /** @throws {HandoverError} ERR_HANDOVER_REPLACED: it is another's, or may be in a moment */
  check(): void {
    if (this.#replaced) throw new HandoverError('ERR_HANDOVER_REPLACED', 'another process has replaced this supervisor')
    if (this.#underWay !== null) throw new HandoverError('ERR_HANDOVER_REPLACED', 'this supervisor is being replaced')
  }

  get isOwn(): boolean {
    return !this.#replaced && this.#underWay === null
  }

  /** Hands it over. */
  async run(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const stop = new AbortController()
    const done = work(stop.signal)
    this.#underWay = { stop, done }
    try {
      await done
      this.#replaced = true
    } finally {
      this.#underWay = null
    }
  }

  /** Ends what is under way. @returns whether it is another's all the same */
  async cancel(): Promise<boolean> {
    const { stop, done } = this.#underWay ?? {}
    stop?.abort(new HandoverError('ERR_HANDOVER_STOPPED', 'it is being stopped'))
    await done?.catch(() => {})
    return this.#replaced
  }
}
