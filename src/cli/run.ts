import { HandoverError, SyscallError } from '../errors.js'
import type { SupervisorOptions } from '../supervisor/options.js'
import { Supervisor } from '../supervisor/supervisor.js'
import { ExitCode } from './exit-codes.js'
import { liveView, plainView } from './live.js'
import { narrate } from './narrate.js'
import { findHandshakes, findPolicy, findScript, UsageError } from './options.js'
import { jsonPrinter, type Printer, textPrinter } from './printer.js'
import { currentFolder, type Steering, steer } from './steer.js'
import { Stopping } from './stopping.js'

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
  name?: string
  /** False: none. */
  control?: string | false
}

/** Runs a script until it is told to stop. @returns the exit code */
export async function run(script: string, args: readonly string[], options: RunOptions): Promise<number> {
  const cwd = currentFolder()
  const path = findScript(script, cwd)
  const supervisor = supervisorOf(options.handshake, {
    script: path,
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
  const stopping = new Stopping(supervisor, printer)
  stopping.heedSignals()
  const hint = options.preload ? '' : ' (does the script call `serve`?)'
  let steering: Steering | null = null
  try {
    steering = await steer(supervisor, stopping, printer, { ...options, script: path })
    const late = setTimeout(() => printer.warn('waiting', `no worker listens yet${hint}`), PATIENCE)
    await supervisor.start().finally(() => clearTimeout(late))
    return await stopping.done
  } catch (error) {
    if ((error as HandoverError).code === 'ERR_HANDOVER_STOPPED') return await stopping.done
    return explain(error, printer)
  } finally {
    await steering?.close()
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
/** One line: what went wrong, and what to do. */
function explain(error: unknown, printer: Printer): number {
  if (error instanceof SyscallError) {
    const { address, port, code } = error
    const where = address === undefined ? '' : ` on ${address}${port === undefined ? '' : ` port ${port}`}`
    printer.error('failed', `cannot listen${where}: ${error.message}. ${error.hint}`, { code, address, port })
    return ExitCode.system
  }
  if (error instanceof HandoverError) {
    const { code, message, hint } = error
    const refused = code === 'ERR_HANDOVER_CONTROL'
    printer.error('failed', refused ? message : `${message}. ${hint}`, { code })
    return refused ? ExitCode.system : ExitCode.failed
  }
  throw error
}
