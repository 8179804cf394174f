import { relative } from 'node:path'
import type { Settled } from '../config/settle.js'
import { nameOfScript } from '../control/names.js'
import type { MakeReload } from '../control/reloads.js'
import { WATCH_DELAY } from '../limits.js'
import { descriptorWarning } from './check/descriptors.js'
import { WorkerLogs, withLogs } from './logs/worker-logs.js'
import type { Printer } from './printer.js'
import type { Reloading } from './reloading.js'
import { OneAtATime, watchFiles } from './watch.js'

/** What the command does beside supervising: log files, and watching sources. */
export class Beside {
  readonly #settled: Settled
  readonly #logs: WorkerLogs | null
  readonly #reopen = (): void => this.#logs?.reopen()
  #unwatch: (() => Promise<void>) | null = null
  #serves = false
  #reloading: Reloading | null = null
  /** What says what happens from now on. */
  readonly printer: Printer

  /** @throws {Error} of the system: no log can be written there */
  constructor(settled: Settled, printer: Printer) {
    const { logs } = settled.values
    this.#settled = settled
    this.#logs = logs === undefined ? null : new WorkerLogs(logs.folder, logName(settled), printer)
    this.printer =
      this.#logs === null ? printer : withLogs(printer, this.#logs, () => this.#serves && !this.#reloading?.prepares)
    // Without log files the signal stays Node's own, which opens its inspector.
    if (this.#logs !== null) process.on('SIGUSR1', this.#reopen)
  }

  /** Says what there is to say before anything starts. */
  tell(): void {
    const { path } = this.#settled
    if (path !== null) this.printer.info('config', `configuration ${relative(process.cwd(), path)}`, { path })
    if (this.#logs !== null) {
      this.printer.info('logs', `workers write to ${this.#logs.pattern}`, { path: this.#logs.pattern })
    }
    const low = descriptorWarning(this.#settled)
    if (low !== null) this.printer.warn('descriptor-limit', low.text, { ...low.fields })
  }

  /** The service is there. @param reload  makes reloads, and tells of those that fail */
  async serves(reloading: Reloading, reload: MakeReload): Promise<void> {
    this.#serves = true
    this.#reloading = reloading
    const { watch, logs, cwd } = this.#settled.values
    if (!watch) return
    const folder = cwd ?? this.#settled.asked.cwd
    const reloads = new OneAtATime(() => reloading.untilSwitched(reload))
    const options = {
      paths: watch.paths ?? [folder],
      ignore: [...(watch.ignore ?? []), ...(logs === undefined ? [] : [logs.folder])],
      delay: watch.delay ?? WATCH_DELAY,
    }
    this.#unwatch = await watchFiles(
      options,
      (paths) => {
        const first = relative(folder, paths[0] as string)
        const more = paths.length > 1 ? ` and ${paths.length - 1} more` : ''
        this.printer.info('changed', `${first}${more} changed: reloading`, { paths })
        reloads.ask()
      },
      (error) => {
        const hint = (error as NodeJS.ErrnoException).code === 'ENOSPC' ? '; raise fs.inotify.max_user_watches' : ''
        this.printer.warn('watch-failed', `cannot watch everything: ${error.message}${hint}`)
      },
    )
    this.printer.info('watching', `watching ${options.paths.map((path) => relative(folder, path) || '.').join(', ')}`)
  }

  async end(): Promise<void> {
    await this.#unwatch?.()
    process.off('SIGUSR1', this.#reopen)
    await this.#logs?.close()
  }
}

/** What log files are called by: the name of the service, or of its script. */
export function logName({ values: { name, script } }: Settled): string {
  return name ?? nameOfScript(script ?? 'handover')
}
