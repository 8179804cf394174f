import { type Settled, settle } from '../config/settle.js'
import { HandoverError, SyscallError } from '../errors.js'
import { settleOptions } from '../supervisor/options.js'
import { Service } from '../supervisor/service/service.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { type Admin, adminOf, takeAdminToken } from './admin.js'
import { Beside } from './beside.js'
import { limitHint } from './check/descriptors.js'
import { ExitCode } from './exit-codes.js'
import { type Flags, valuesOf } from './flags.js'
import { liveView, plainView } from './live.js'
import { narrate } from './narrate.js'
import { jsonPrinter, type Printer, textPrinter } from './printer.js'
import { Reloading } from './reloading.js'
import { currentFolder, type Steering, steer, type Wanted } from './steer.js'
import { Stopping } from './stopping.js'
import { supervisorOf } from './supervisor-of.js'
import { goOn, takesOver, upgrade } from './upgrading.js'

/** `handover run` as it was typed. */
export interface RunOptions extends Flags {
  live: boolean
  json: boolean
}

/** Runs a script until it is told to stop. @returns the exit code */
export async function run(script: string | undefined, args: readonly string[], options: RunOptions): Promise<number> {
  // Before workers get this environment.
  const token = takeAdminToken()
  const heir = takesOver()
  let complain = (error: Error): void => process.emitWarning(error)
  const service = new Service((error) => complain(error))
  const settled = await settle({ config: options.config, flags: valuesOf(script, args, options), cwd: currentFolder() })
  const supervisor = supervisorOf(settled)
  const { printer: shown, end } = output(supervisor, options)
  const beside = besideOf(settled, shown)
  if (beside === null) {
    end()
    return ExitCode.system
  }
  const { printer } = beside
  complain = ({ message }) => printer.warn('not-told', `the service manager was not told: ${message}`, { message })
  beside.tell()
  narrate(supervisor, printer)
  // The one whose end ends everything; the others' ends come after it.
  let failed = 0
  supervisor.on('ended', ({ worker, expected, restartIn }) => {
    if (failed === 0 && !expected && restartIn === null) failed = worker
  })
  const admin = await adminFor(settled, supervisor, printer, token)
  const stopping = new Stopping(supervisor, printer, () => service.stopping())
  if (!heir) stopping.heedSignals()
  const hint = settled.values.preload === false ? ' (does the script call `serve`?)' : ''
  const reloading = new Reloading(supervisor, settled, printer)
  let steering: Steering | null = null
  const parts = { supervisor, service, stopping, printer, admin, steering: () => steering }
  const serves = latch()
  const asked: Wanted = {
    ...wanted(settled, reloading),
    upgrade: (progress) => upgrade(parts, progress),
    orphanTime: () => serves.done.then(() => settleOptions(settled.supervisor).drainTimeout),
  }
  supervisor.once('succeeded', () => void admin?.close()) // whoever goes on wants the address
  try {
    if (heir) {
      steering = await goOn(parts, asked)
    } else {
      steering = await steer(supervisor, stopping, printer, asked)
      await admin?.listen()
      service.attend(supervisor)
      const late = setTimeout(() => printer.warn('waiting', `no worker listens yet${hint}`), PATIENCE)
      await supervisor.start().finally(() => clearTimeout(late))
      service.serving(supervisor)
    }
    serves.open()
    await beside.serves(reloading)
    return await stopping.done
  } catch (error) {
    if ((error as HandoverError).code === 'ERR_HANDOVER_STOPPED') return await stopping.done
    return explain(error, printer, failed)
  } finally {
    service.end()
    await Promise.all([steering?.close(), admin?.close()])
    await beside.end()
    end()
  }
}

/** Something that is waited for, and comes. */
function latch(): { done: Promise<void>; open(): void } {
  let open = (): void => {}
  const done = new Promise<void>((resolve) => {
    open = resolve
  })
  return { done, open }
}

/** What the control socket is made with. */
function wanted({ values, supervisor: { env } }: Settled, reloading: Reloading): Wanted {
  const { script = 'handover', name, control } = values
  return {
    script,
    reload: (options, change) => reloading.reload(options, change),
    ...(name === undefined ? {} : { name }),
    ...(control === undefined ? {} : { control }),
    ...(env === undefined ? {} : { env }),
  }
}

/** @param token  of the environment; the configuration's comes first */
function adminFor(
  { values: { name, admin, agentCheck } }: Settled,
  supervisor: Supervisor,
  printer: Printer,
  token: string | undefined,
): Promise<Admin | null> {
  return adminOf(supervisor, { name, admin: admin && { token, ...admin }, agentCheck }, printer)
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
/** One line: what went wrong, and what to do. */
function explain(error: unknown, printer: Printer, worker: number): number {
  if (error instanceof SyscallError) {
    const { address, port, code } = error
    const where = address === undefined ? '' : ` on ${address}${port === undefined ? '' : ` port ${port}`}`
    printer.error('failed', `cannot listen${where}: ${error.message}. ${error.hint}`, { code, address, port })
    return ExitCode.system
  }
  if (error instanceof HandoverError) {
    const { code, message, hint } = error
    if (code === 'ERR_HANDOVER_CONTROL') {
      printer.error('failed', message, { code })
      return ExitCode.system
    }
    const { code: cause } = (error.cause ?? {}) as NodeJS.ErrnoException
    if (cause === 'EMFILE' || cause === 'ENFILE') {
      const more = cause === 'EMFILE' ? limitHint() : 'the whole system is at its limit: raise fs.file-max'
      printer.error('failed', `nothing listens, worker ${worker} failed: ${message}; ${more}`, { code: cause, worker })
      return ExitCode.system
    }
    const which = worker > 0 ? `nothing listens, worker ${worker} failed: ` : ''
    printer.error('failed', `${which}${message}. ${hint}`, { code, worker })
    return ExitCode.failed
  }
  throw error
}
