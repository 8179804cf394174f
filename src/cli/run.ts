import { type Settled, settle } from '../config/settle.js'
import { HandoverError, SyscallError } from '../errors.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { Beside } from './beside.js'
import { limitHint } from './check/descriptors.js'
import { ExitCode } from './exit-codes.js'
import { type Flags, valuesOf } from './flags.js'
import { liveView, plainView } from './live.js'
import { narrate } from './narrate.js'
import { jsonPrinter, type Printer, textPrinter } from './printer.js'
import { Reloading } from './reloading.js'
import { supervisorOf } from './supervisor-of.js'

/** `handover run` as it was typed. */
export interface RunOptions extends Flags {
  live: boolean
  json: boolean
}

/** Runs a script until it is told to stop. @returns the exit code */
export async function run(script: string | undefined, args: readonly string[], options: RunOptions): Promise<number> {
  const settled = await settle({ config: options.config, flags: valuesOf(script, args, options), cwd: process.cwd() })
  const supervisor = supervisorOf(settled)
  const { printer: shown, end } = output(supervisor, options)
  const beside = besideOf(settled, shown)
  if (beside === null) return ExitCode.system
  const { printer } = beside
  beside.tell()
  narrate(supervisor, printer)
  // The one whose end ends everything; the others' ends come after it.
  let failed = 0
  supervisor.on('ended', ({ worker, expected, restartIn }) => {
    if (failed === 0 && !expected && restartIn === null) failed = worker
  })
  const stopped = untilStopped(supervisor, printer)
  const hint = settled.values.preload === false ? ' (does the script call `serve`?)' : ''
  const late = setTimeout(() => printer.warn('waiting', `no worker listens yet${hint}`), PATIENCE)
  try {
    await supervisor.start().finally(() => clearTimeout(late))
    await beside.serves(new Reloading(supervisor, settled, printer))
    return await stopped
  } catch (error) {
    if ((error as HandoverError).code === 'ERR_HANDOVER_STOPPED') return await stopped
    return explain(error, printer, failed)
  } finally {
    await beside.end()
    end()
  }
}

/** @returns null: no log can be written, which was said */
function besideOf(settled: Settled, printer: Printer): Beside | null {
  try {
    return new Beside(settled, printer)
  } catch (error) {
    const folder = settled.values.logs?.folder
    const { code, message } = error as NodeJS.ErrnoException
    const what = `cannot write log files in ${folder}: ${message}. Choose another folder, or give this user the right to write there`
    printer.error('failed', what, { code })
    return null
  }
}

function output(supervisor: Supervisor, { live, json }: RunOptions): { printer: Printer; end(): void } {
  if (live && !json && process.stdout.isTTY) {
    const view = liveView(process.stdout)
    view.watch(supervisor)
    return { printer: textPrinter(view.write, view.write), end: view.end }
  }
  // A log reader that goes away (`handover run app.js | head`) must not take the service with it.
  process.stdout.on('error', () => {})
  const write = (line: string): void => void process.stdout.write(`${line}\n`)
  process.stderr.on('error', () => {})
  const writeError = (line: string): void => void process.stderr.write(`${line}\n`)
  const printer = json ? jsonPrinter(write) : textPrinter(write, writeError)
  return live ? { printer, end: plainView(printer, supervisor).end } : { printer, end: () => {} }
}

/** Milliseconds without a worker that listens, after which something is said. */
const PATIENCE = 5_000
/** Milliseconds of a drain after which it is said what it waits for. */
const WAIT_NOTICE = 1_500
/** Milliseconds in which a second signal is the first: the terminal sends it, and so does `npm` or `timeout`. */
const SAME_SIGNAL = 500

/** The first SIGINT, SIGTERM or SIGHUP drains; a second SIGINT or SIGTERM ends everything at once. */
function untilStopped(supervisor: Supervisor, printer: Printer): Promise<number> {
  return new Promise((resolve, reject) => {
    let since: number | null = null
    let code: number = ExitCode.ok
    const again = (signal: NodeJS.Signals): void => {
      if (signal === 'SIGHUP' || performance.now() - (since as number) < SAME_SIGNAL) return
      code = ExitCode.interrupted
      void supervisor.kill()
    }
    const stop = (signal: NodeJS.Signals): void => {
      if (since !== null) return again(signal)
      since = performance.now()
      printer.info('stopping', `${signal}: finishing open connections; once more ends at once`, { signal })
      setTimeout(() => tellWhatIsOpen(supervisor, printer), WAIT_NOTICE).unref()
      supervisor.stop().then(() => {
        printer.info('stopped', 'stopped', { code })
        resolve(code)
      }, reject)
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  })
}

function tellWhatIsOpen(supervisor: Supervisor, printer: Printer): void {
  for (const { worker, open } of supervisor.status().workers) {
    if (open === 0) continue
    printer.info('draining', `waiting for ${open} connections of worker ${worker}`, { worker, open })
  }
}

/** One line: what went wrong, and what to do. */
function explain(error: unknown, printer: Printer, worker: number): number {
  if (error instanceof SyscallError) {
    const { address, port, code } = error
    const where = address === undefined ? '' : ` on ${address}${port === undefined ? '' : ` port ${port}`}`
    printer.error('failed', `cannot listen${where}: ${error.message}. ${error.hint}`, { code, address, port })
    return ExitCode.system
  }
  if (error instanceof HandoverError) {
    const { code } = (error.cause ?? {}) as NodeJS.ErrnoException
    if (code === 'EMFILE' || code === 'ENFILE') {
      const hint = code === 'EMFILE' ? limitHint() : 'the whole system is at its limit: raise fs.file-max'
      printer.error('failed', `nothing listens, worker ${worker} failed: ${error.message}; ${hint}`, { code, worker })
      return ExitCode.system
    }
    const which = worker > 0 ? `nothing listens, worker ${worker} failed: ` : ''
    printer.error('failed', `${which}${error.message}. ${error.hint}`, { code: error.code, worker })
    return ExitCode.failed
  }
  throw error
}
