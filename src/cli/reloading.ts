import { once } from 'node:events'
import { basename } from 'node:path'
import { reloadFrom } from '../config/reload.js'
import { type Settled, settle } from '../config/settle.js'
import type { ChangeEnvironment } from '../control/reloads.js'
import type { ReloadOptions } from '../supervisor/options.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import type { Printer } from './printer.js'
import { reloadFailed } from './reload-failed.js'

/** Reloads workers by the configuration as it is at the time. */
export class Reloading {
  readonly #supervisor: Supervisor
  readonly #printer: Printer
  /** What runs. */
  #settled: Settled
  /** What workers have. */
  #env: NodeJS.ProcessEnv
  #prepares = 0

  constructor(supervisor: Supervisor, settled: Settled, printer: Printer) {
    this.#supervisor = supervisor
    this.#settled = settled
    this.#env = settled.supervisor.env ?? process.env
    this.#printer = printer
  }

  /** Whether new workers are getting ready. */
  get prepares(): boolean {
    return this.#prepares > 0
  }

  /**
   * Reads the configuration again and reloads; what no reload changes is named in a warning.
   * @param options  that come before what is in the file
   * @param change  what becomes of the environment, be that of the file as it is now, or of the reload before
   * @throws {UsageError} the configuration cannot be used, nothing was done; as `Supervisor.reload`
   */
  async reload(options: ReloadOptions = {}, change?: ChangeEnvironment): Promise<{ generation: number }> {
    const now = await settle(this.#settled.asked)
    const { options: configured, restart } = reloadFrom(now, this.#settled)
    if (restart.length > 0) {
      const file = now.path === null ? 'the configuration' : basename(now.path)
      const what = `${restart.join(', ')} in ${file} changed: a reload leaves that as it was, stop and start for it`
      this.#printer.warn('config-kept', what, { keys: restart })
    }
    const env = change?.(configured.env ?? this.#env) ?? configured.env
    const all = { ...configured, ...options, ...(env === undefined ? {} : { env }) }
    const done = await this.#prepared(this.#supervisor.reload(all))
    this.#env = env ?? this.#env
    // What was left as it was is said again next time.
    const kept = Object.fromEntries(restart.map((key) => [key, this.#settled.values[key as keyof Settled['values']]]))
    this.#settled = { ...now, values: { ...now.values, ...kept } }
    return done
  }

  /** Counts it until it switches or fails; the drain that follows is not preparation. */
  #prepared<Result>(reload: Promise<Result>): Promise<Result> {
    this.#prepares++
    let prepares = true
    const over = (): void => {
      if (prepares) this.#prepares--
      prepares = false
    }
    this.#supervisor.once('switched', over)
    return reload.finally(() => {
      over()
      this.#supervisor.off('switched', over)
    })
  }

  /** Reloads, and settles when the new workers serve, or do not: never rejects, and does not wait for the old ones to drain. */
  async untilSwitched(): Promise<void> {
    const over = new AbortController()
    const switched = once(this.#supervisor, 'switched', { signal: over.signal }).catch(() => {})
    const reloaded = this.reload().then(() => {}, reloadFailed(this.#printer))
    await Promise.race([switched, reloaded])
    over.abort()
  }
}
