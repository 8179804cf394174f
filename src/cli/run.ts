import { HandoverError, SyscallError } from '../errors.js'
import type { SupervisorOptions } from '../supervisor/options.js'
import { Supervisor } from '../supervisor/supervisor.js'
import { ExitCode } from './exit-codes.js'
import { liveView, plainView } from './live.js'
import { narrate } from './narrate.js'
import { findHandshakes, findPolicy, findScript, UsageError } from './options.js'
import { jsonPrinter, type Printer, textPrinter } from './printer.js'

/** `handover run` as it was typed. */
export interface RunOptions {
  workers?: number
  policy: string
  handshake?: string
  maxConnections?: number
  maxTotal?: number
  backlog?: number
  drainTimeout: number
  threads: boolean
  preload: boolean
  live: boolean
  json: boolean
}

/** Runs a script until it is told to stop. @returns the exit code */
export async function run(script: string, args: readonly string[], options: RunOptions): Promise<number> {
  const cwd = process.cwd()
  const supervisor = supervisorOf(options.handshake, {
    script: findScript(script, cwd),
    args,
    policy: await findPolicy(options.policy, cwd),
    threads: options.threads,
    preload: options.preload,
    batchScheduling: true,
    drainTimeout: options.drainTimeout * 1000,
    cwd,
    ...(await findHandshakes(options.handshake, cwd)),
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
    ...(options.maxTotal === undefined ? {} : { maxTotal: options.maxTotal }),
    ...(options.backlog === undefined ? {} : { backlog: options.backlog }),
  })
  const { printer, end } = output(supervisor, options)
  narrate(supervisor, printer)
  const stopped = untilStopped(supervisor, printer)
  const hint = options.preload ? '' : ' (does the script call `serve`?)'
  const late = setTimeout(() => printer.warn('waiting', `no worker listens yet${hint}`), PATIENCE)
  try {
    await supervisor.start().finally(() => clearTimeout(late))
    return await stopped
  } catch (error) {
    if ((error as HandoverError).code === 'ERR_HANDOVER_STOPPED') return await stopped
    return explain(error, printer)
  } finally {
    end()
  }
}

/** What the command's own arguments say was checked: what is wrong here stands in the module. */
function supervisorOf(module: string | undefined, options: SupervisorOptions): Supervisor {
  try {
    return new Supervisor(options)
  } catch (error) {
    if (module === undefined || !(error instanceof TypeError || error instanceof RangeError)) throw error
    throw new UsageError(`--handshake ${module}: ${error.message}`)
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
    supervisor.once('failed', ({ error }) => reject(error))
  })
}

function tellWhatIsOpen(supervisor: Supervisor, printer: Printer): void {
  for (const { worker, open } of supervisor.status().workers) {
    if (open === 0) continue
    printer.info('draining', `waiting for ${open} connections of worker ${worker}`, { worker, open })
  }
}

/** One line: what went wrong, and what to do. */
function explain(error: unknown, printer: Printer): number {
  if (error instanceof SyscallError) {
    const { address, port, code } = error
    const where = address === undefined ? '' : ` on ${address}${port === undefined ? '' : ` port ${port}`}`
    printer.error('failed', `cannot listen${where}: ${error.message}. ${error.hint}`, { code, address, port })
    return ExitCode.system
  }
  if (error instanceof HandoverError) {
    printer.error('failed', `${error.message}. ${error.hint}`, { code: error.code })
    return ExitCode.failed
  }
  throw error
}
