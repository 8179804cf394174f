import type { StopOrder } from '../control/commands.js'
import { HandoverError } from '../errors.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { ExitCode } from './exit-codes.js'
import type { Printer } from './printer.js'

/** Milliseconds of a drain after which it is said what it waits for. */
const WAIT_NOTICE = 1_500
/** Milliseconds in which a second signal is the first: the terminal sends it, and so does `npm` or `timeout`. */
const SAME_SIGNAL = 500

/** The end of `handover run`, asked for by signals or over the control socket. */
export class Stopping {
  /** Settles with the exit code when all is stopped. */
  readonly done: Promise<number>
  readonly #supervisor: Supervisor
  readonly #printer: Printer
  readonly #began: () => void
  /** When it was first asked for. */
  #since: number | null = null
  #code: number = ExitCode.ok
  /** The process that has all of it now; 0: this one. */
  #heir = 0
  readonly #replaced: Promise<void>
  #resolve: (code: number) => void = () => {}
  #reject: (error: Error) => void = () => {}

  /** @param began  hears that it begins */
  constructor(supervisor: Supervisor, printer: Printer, began: () => void = () => {}) {
    this.#began = began
    this.#supervisor = supervisor
    this.#printer = printer
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.done.catch(() => {}) // whoever waits for it later hears of it
    this.#replaced = new Promise((resolve) => {
      supervisor.once('succeeded', ({ pid }) => {
        this.#heir = pid
        if (this.#since !== null) this.forward('SIGTERM') // it was too late to keep it from that
        resolve()
      })
    })
    supervisor.once('failed', ({ error }) => this.#reject(error))
  }

  /** The first SIGINT, SIGTERM or SIGHUP drains; a second SIGINT or SIGTERM ends everything at once. */
  heedSignals(): void {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (this.forward(signal)) return
        if (this.#since === null) this.#stop(signal, { signal })
        else if (signal !== 'SIGHUP' && performance.now() - this.#since >= SAME_SIGNAL) {
          this.#code = ExitCode.interrupted
          void this.#supervisor.kill()
        }
      })
    }
  }

  /** Sends a signal on to the process that has replaced this one, for which it is meant. @returns false: there is none */
  forward(signal: NodeJS.Signals): boolean {
    if (this.#heir === 0) return false
    try {
      process.kill(this.#heir, signal)
    } catch {} // it has ended by itself
    return true
  }

  /** Another process goes on with all of it: this one has nothing left to do. */
  succeeded(): void {
    this.#resolve(ExitCode.ok)
  }

  /**
   * As another command asks; settles when all is stopped. That is success, even if it was not asked first.
   * @throws {HandoverError} ERR_HANDOVER_REPLACED: another process has all of it
   */
  async order({ now = false, milliseconds }: StopOrder): Promise<void> {
    if (this.#heir === 0) {
      if (this.#since === null) this.#stop('asked by another command', {}, now ? 0 : milliseconds)
      if (now) void this.#supervisor.kill()
      await Promise.race([this.done.catch(() => {}), this.#replaced]) // a failure too is an end
    }
    if (this.#heir === 0) return
    throw new HandoverError('ERR_HANDOVER_REPLACED', `process ${this.#heir} goes on in place of this one: ask that one`)
  }

  #stop(why: string, fields: object, milliseconds?: number): void {
    this.#began()
    this.#since = performance.now()
    this.#printer.info('stopping', `${why}: finishing open connections; once more ends at once`, fields)
    setTimeout(() => this.#tellWhatIsOpen(), WAIT_NOTICE).unref()
    this.#supervisor.stop(milliseconds).then(() => {
      if (this.#heir !== 0) return
      this.#printer.info('stopped', 'stopped', { code: this.#code })
      this.#resolve(this.#code)
    }, this.#reject)
  }

  #tellWhatIsOpen(): void {
    for (const { worker, open } of this.#supervisor.status().workers) {
      if (open === 0) continue
      this.#printer.info('draining', `waiting for ${open} connections of worker ${worker}`, { worker, open })
    }
  }
}
