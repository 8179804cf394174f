/** What ends a process that does not heed it. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const RELOAD = 'SIGUSR2'

/**
 * Signals that come to a process while it takes over. From the word on that all is its own none may end it as it would a
 * process that heeds none; when exactly that is, nobody can tell before.
 */
export class HeldSignals {
  #reloads = false
  readonly #ends = (signal: NodeJS.Signals): void => {
    this.goOn()
    process.kill(process.pid, signal) // nobody heeds it: all is the predecessor's
  }
  readonly #reload = (): void => {
    if (process.listenerCount(RELOAD) === 1) this.#reloads = true // else somebody has heard it
  }

  constructor() {
    for (const signal of ENDING) process.on(signal, this.#ends)
    process.on(RELOAD, this.#reload)
  }

  /** All is its own, and others heed the signals that end it. */
  goOn(): void {
    for (const signal of ENDING) process.off(signal, this.#ends)
  }

  /** Others heed all. A reload that was asked for meanwhile is theirs. */
  end(): void {
    process.off(RELOAD, this.#reload)
    if (this.#reloads) process.emit(RELOAD, RELOAD)
  }
}
