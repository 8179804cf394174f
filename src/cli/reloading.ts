import { once } from 'node:events'
import { basename } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { reloadFrom } from '../config/reload.js'
import { type Settled, settle } from '../config/settle.js'
import type { MakeReload } from '../control/reloads.js'
import type { ChangeEnvironment } from '../supervisor/generations/places.js'
import type { ReloadOptions } from '../supervisor/options.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import type { Printer } from './printer.js'

type Said = Settled['values']['env']

/** Reloads workers by the configuration as it is at the time. */
export class Reloading {
  readonly #supervisor: Supervisor
  readonly #printer: Printer
  /** What runs. */
  #settled: Settled
  /** What options and file said of the environment when it was made. */
  readonly #saidIn = new WeakMap<NodeJS.ProcessEnv, Said>()
  /** The same of the first. */
  readonly #first: Said
  /** Reloads that were in line, and which of them is the last that is done. */
  #count = 0
  #newest = 0
  /** Settles when the last reload that was asked for is in line: they are made in the order they are asked for. */
  #begun: Promise<unknown> = Promise.resolve()
  /** Of reloads that have neither switched nor failed, in line. */
  readonly #preparing = new Set<Promise<unknown>>()

  constructor(supervisor: Supervisor, settled: Settled, printer: Printer) {
    this.#supervisor = supervisor
    this.#settled = settled
    this.#first = settled.values.env
    this.#printer = printer
    supervisor.on('switched', () => {
      const [first] = this.#preparing // the drain that follows is no preparation
      if (first !== undefined) this.#preparing.delete(first)
    })
  }

  /** Whether new workers are getting ready. */
  get prepares(): boolean {
    return this.#preparing.size > 0
  }

  /**
   * Reads the configuration again and reloads; what no reload changes is named in a warning.
   * @param options  that come before what is in the file; `env` may change that of the file as it is now, or of the reload before
   * @throws {UsageError} the configuration cannot be used, nothing was done; as `Supervisor.reload`
   */
  async reload(options: ReloadOptions = {}): Promise<{ generation: number }> {
    const begun = this.#begun.then(() => this.#begin(options))
    this.#begun = begun.catch(() => {})
    const { done, now } = await begun
    const nth = ++this.#count
    const { generation } = await done
    if (nth > this.#newest) [this.#settled, this.#newest] = [now, nth] // old workers of one before may be gone later
    return { generation }
  }

  /** Reads the configuration, and gets in line. */
  async #begin(options: ReloadOptions): Promise<{ done: Promise<{ generation: number }>; now: Settled }> {
    const now = await settle(this.#settled.asked)
    const { options: configured, restart } = reloadFrom(now, this.#settled)
    if (restart.length > 0) {
      const file = now.path === null ? 'the configuration' : basename(now.path)
      const what = `${restart.join(', ')} in ${file} changed: a reload leaves that as it was, stop and start for it`
      this.#printer.warn('config-kept', what, { keys: restart })
    }
    // What was left as it was is said again next time.
    const kept = Object.fromEntries(restart.map((key) => [key, this.#settled.values[key as keyof Settled['values']]]))
    const done = this.#prepared(
      this.#supervisor.reload({ ...configured, ...options, env: this.#environment(now, options.env) }),
    )
    return { done, now: { ...now, values: { ...now.values, ...kept } } }
  }

  /** What becomes of what workers have when the reload has its turn: others that were before it may have failed by then. */
  #environment(now: Settled, asked: ReloadOptions['env']): ChangeEnvironment {
    const { env: said } = now.values
    return (workers) => {
      const before = this.#saidIn.has(workers) ? this.#saidIn.get(workers) : this.#first
      const base = isDeepStrictEqual(said, before) ? workers : (now.supervisor.env ?? process.env)
      const env = typeof asked === 'function' ? asked(base) : (asked ?? base)
      this.#saidIn.set(env, said)
      return env
    }
  }

  #prepared<Result>(reload: Promise<Result>): Promise<Result> {
    this.#preparing.add(reload)
    return reload.finally(() => this.#preparing.delete(reload))
  }

  /**
   * Reloads, and settles when the new workers serve, or do not: never rejects, and does not wait for the old ones to drain.
   * @param reload  tells of one that fails
   */
  async untilSwitched(reload: MakeReload): Promise<void> {
    const over = new AbortController()
    const switched = once(this.#supervisor, 'switched', { signal: over.signal }).catch(() => {})
    const reloaded = reload({}).catch(() => {})
    await Promise.race([switched, reloaded])
    over.abort()
  }
}
