import { HandoverError, type SyscallError } from '../../errors.js'
import { EARLY_DEATHS_MAX } from '../../limits.js'
import { howEnded, type WorkerEnd } from './worker.js'

/** Whether the first workers will ever listen: what they are told by their ends, until one does. */
export class StartUp {
  #earlyDeaths = 0
  #over = false
  #settle: { resolve(): void; reject(error: Error): void } | null = null

  get isOver(): boolean {
    return this.#over
  }

  /** Settles when a worker listens, or rejects with why none will. */
  wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  /** @returns what tells whoever waits; null: nobody does any more */
  failing(): ((error: Error) => void) | null {
    const { reject = null } = this.#settle ?? {}
    this.#settle = null
    return reject
  }

  /** Nobody will. */
  fail(error: Error): void {
    this.failing()?.(error)
  }

  /** A worker listens. */
  ready(): void {
    this.#over = true
    this.#settle?.resolve()
    this.#settle = null
  }

  /**
   * Whether a worker's end, before any was ever ready, means that none will be.
   * @param refusal  why it got no port
   * @returns null: it does not
   */
  verdict(end: WorkerEnd, refusal: SyscallError | undefined): Error | null {
    if (this.#over) return null
    if (refusal !== undefined) return refusal
    this.#earlyDeaths += 1
    if (end.code === 0) {
      return new HandoverError('ERR_HANDOVER_WORKERS_FAILED', 'the script ended without listening on any port')
    }
    if (this.#earlyDeaths < EARLY_DEATHS_MAX) return null
    if (end.error !== undefined && end.code === null && end.signal === null) {
      const { error: cause } = end
      return new HandoverError('ERR_HANDOVER_WORKERS_FAILED', `workers cannot be started (${cause.message})`, { cause })
    }
    const how = howEnded(end)
    return new HandoverError('ERR_HANDOVER_WORKERS_FAILED', `workers end before they listen (${how})`)
  }
}
