import { closeSync, openSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { SupervisorEvents } from '../../supervisor/events.js'
import { makeFolder } from '../folders.js'
import type { Printer } from '../printer.js'
import { LogFile, type LogFileOwner } from './log-file.js'

/** A file for each worker, `NAME-worker-1.log`: a time, `out` or `err`, and the line. */
export class WorkerLogs {
  readonly #folder: string
  readonly #name: string
  readonly #owner: LogFileOwner
  readonly #files = new Map<number, LogFile>()

  /** @throws {Error} of the system: nothing can be written there */
  constructor(folder: string, name: string, printer: Printer) {
    this.#folder = folder
    this.#name = name
    this.#owner = {
      failed: (path, error) =>
        printer.warn('log-failed', `cannot write ${path}: ${error.message}; the service goes on, lines wait`, {
          path,
          message: error.message,
        }),
      recovered: (path, dropped) =>
        printer.info('log-recovered', `${path} is written again; ${dropped} lines were dropped`, { path, dropped }),
    }
    makeFolder(folder, 0o750)
    closeSync(openSync(this.pathOf(1), 'a', 0o640))
  }

  write({ worker, stream, text }: SupervisorEvents['line'][0]): void {
    let file = this.#files.get(worker)
    if (file === undefined) {
      file = new LogFile(this.pathOf(worker), this.#owner)
      this.#files.set(worker, file)
    }
    file.write(`${new Date().toISOString()} ${stream === 'stderr' ? 'err' : 'out'} ${text}`)
  }

  /** Goes on in new files: those there were have been moved away. */
  reopen(): void {
    for (const file of this.#files.values()) file.reopen()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.close()))
  }

  pathOf(worker: number): string {
    return join(this.#folder, `${this.#name}-worker-${worker}.log`)
  }

  get pattern(): string {
    return join(this.#folder, `${basename(this.#name)}-worker-*.log`)
  }
}

/** Workers' lines go to the files; until `started` says so they are shown as well, as nobody looks there yet. */
export function withLogs(printer: Printer, logs: WorkerLogs, started: () => boolean): Printer {
  return {
    ...printer,
    worker: (event) => {
      logs.write(event)
      if (!started()) printer.worker(event)
    },
  }
}
