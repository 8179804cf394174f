import { type Settled, settle } from '../config/settle.js'
import type { MakeReload } from '../control/reloads.js'
import type { HandoverError } from '../errors.js'
import { settleOptions } from '../supervisor/options.js'
import { Service } from '../supervisor/service/service.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { type Admin, adminOf, takeAdminToken } from './admin.js'
import { Beside } from './beside.js'
import { ExitCode } from './exit-codes.js'
import { explain } from './explain.js'
import { type Flags, valuesOf } from './flags.js'
import { HeldSignals } from './held-signals.js'
import { liveView, plainView } from './live.js'
import { movedHint } from './moved-programs.js'
import { narrate } from './narrate.js'
import { jsonPrinter, type Printer, textPrinter } from './printer.js'
import { reloadFailed } from './reload-failed.js'
import { Reloading } from './reloading.js'
import { currentFolder, type Steering, steer, telling, type Wanted } from './steer.js'
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
  const held = takesOver() ? new HeldSignals() : null
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
  const reloading = new Reloading(supervisor, settled, printer)
  let steering: Steering | null = null
  const reload: MakeReload = (asked) =>
    steering?.reload(asked) ?? telling(reloading.reload(asked), reloadFailed(printer))
  const admin = await adminFor(settled, supervisor, printer, { token, reload })
  const stopping = new Stopping(supervisor, printer, () => service.stopping())
  if (held === null) stopping.heedSignals()
  /** What a program that came from elsewhere lacks here, if it said so. */
  let lacks: string | null = null
  supervisor.on('line', ({ text }) => {
    lacks ??= movedHint([text])
  })
  let served = held !== null
  supervisor.once('ready', () => {
    served = true
  })
  const parts = { supervisor, service, stopping, printer, admin, token, steering: () => steering }
  const serves = latch()
  const asked: Wanted = {
    ...wanted(settled, reloading),
    upgrade: (progress) => upgrade(parts, progress),
    orphanTime: () => serves.done.then(() => settleOptions(settled.supervisor).drainTimeout),
  }
  supervisor.once('succeeded', () => void admin?.close()) // whoever goes on wants the address
  try {
    if (held !== null) {
      steering = await goOn(parts, asked, held)
    } else {
      steering = await steer(supervisor, stopping, printer, asked)
      await admin?.listen()
      service.attend(supervisor)
      await tellingLateness(supervisor, settled, printer)
      service.serving(supervisor)
    }
    serves.open()
    await beside.serves(reloading, reload)
    return await stopping.done
  } catch (error) {
    if ((error as HandoverError).code === 'ERR_HANDOVER_STOPPED') return await stopping.done
    return explain(error, printer, { worker: failed, served, lacks })
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
function wanted({ values }: Settled, reloading: Reloading): Wanted {
  const { script = 'handover', name, control } = values
  return {
    script,
    reload: (options) => reloading.reload(options),
    ...(name === undefined ? {} : { name }),
    ...(control === undefined ? {} : { control }),
  }
}

/** @param own.token  of the environment; the configuration's comes first */
function adminFor(
  { values: { name, admin, agentCheck } }: Settled,
  supervisor: Supervisor,
  printer: Printer,
  { token, reload }: { token: string | undefined; reload: MakeReload },
): Promise<Admin | null> {
  return adminOf(supervisor, { name, admin: admin && { token, ...admin }, agentCheck, reload }, printer)
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

/** Milliseconds without a worker that is ready, after which something is said. */
const PATIENCE = 5_000

/** Starts it; where that takes time it is said what is waited for. */
async function tellingLateness(supervisor: Supervisor, { values, supervisor: options }: Settled, printer: Printer) {
  // A port of `listen` is open before any worker asks for it.
  let listens = false
  supervisor.once('listening', () => {
    listens = values.listen === undefined
  })
  const hint = values.preload === false ? ' (does the script call `serve`?)' : ''
  const missing = (): string => {
    if (options.readiness?.explicit !== true) return `no worker listens yet${hint}`
    const so = 'as `readiness.explicit` asks'
    if (listens) return `no worker is ready yet: the program listens, and has not called worker.ready(), ${so}`
    return `no worker is ready yet: the program has to listen${hint}, and to call worker.ready(), ${so}`
  }
  const late = setTimeout(() => printer.warn('waiting', missing()), PATIENCE)
  await supervisor.start().finally(() => clearTimeout(late))
}
