/** How a running `handover run` is replaced by a new process of its own command, and how that one begins. */
import { inherited } from '../bootstrap/inherit.js'
import type { Progress } from '../control/reloads.js'
import type { HandoverError } from '../errors.js'
import { ADMIN_BIND_RETRY, ADMIN_BIND_WAIT } from '../limits.js'
import type { Service } from '../supervisor/service/service.js'
import { isHeir } from '../supervisor/succession/start-heir.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import type { Admin } from './admin.js'
import type { HeldSignals } from './held-signals.js'
import type { Printer } from './printer.js'
import { type Steering, steer, type Wanted } from './steer.js'
import type { Stopping } from './stopping.js'

/** The name under which the control socket goes along. */
const CONTROL = 'control'

/** What an upgrade has to do with. */
export interface Upgradable {
  readonly supervisor: Supervisor
  readonly service: Service
  readonly stopping: Stopping
  readonly printer: Printer
  readonly admin: Admin | null
  /** The token of the environment, where a configuration that has an admin address later finds it again. */
  readonly token: string | undefined
  steering(): Steering | null
}

/**
 * Replaces this process; settles when the successor has everything.
 * @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED: it goes on as before
 */
export async function upgrade(
  { supervisor, service, stopping, printer, admin, token, steering }: Upgradable,
  progress: Progress,
): Promise<object> {
  const server = steering()?.server ?? null
  const { pid: previous } = process
  const kept = admin?.token ?? token
  let heir = 0
  try {
    const pid = await service.upgrade(supervisor, {
      env: { ...process.env, ...(kept === undefined ? {} : { HANDOVER_ADMIN_TOKEN: kept }) },
      ...(server === null ? {} : { along: { [CONTROL]: server.descriptor } }),
      started: (started) => {
        heir = started
        progress('heir', { pid: started, previous })
      },
      frozen: () => {
        server?.hold(true)
        progress('frozen', {})
      },
      thawed: () => server?.hold(false),
    })
    progress('succeeded', { pid, previous })
    printer.info('succeeded', `process ${pid} goes on in place of this one`, { pid, previous })
    setImmediate(() => stopping.succeeded()) // whoever asked is answered first
    return { pid, previous }
  } catch (error) {
    const { code, message } = error as HandoverError
    printer.warn('not-upgraded', `the upgrade failed, nothing has changed: ${message}`, { code, pid: heir })
    throw error
  }
}

/** Whether this process is to take over from the one that started it. Asked once. */
export const takesOver = (): boolean => isHeir()

/**
 * Takes over from the process that started this one. From then on nothing is a reason to end: what cannot be had is said, and
 * done without.
 * @param held  the signals that came meanwhile
 * @returns what steers it
 * @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED: the predecessor goes on
 */
export async function goOn(parts: Upgradable, wanted: Wanted, held: HeldSignals): Promise<Steering> {
  const { supervisor, service, stopping, printer, admin } = parts
  const { [CONTROL]: control, ...others } = Object.fromEntries(await supervisor.goOn(inherited()))
  stopping.heedSignals()
  held.goOn()
  service.attend(supervisor)
  for (const thing of Object.values(others)) thing.close()
  const workers = supervisor.status().workers.length
  printer.info('took-over', `process ${process.pid} goes on with ${workers} workers`, { pid: process.pid, workers })
  const steering = await steer(supervisor, stopping, printer, { ...wanted, inherited: control }).catch(
    (error: Error) => {
      printer.error('no-control', `no other command reaches this supervisor: ${error.message}`)
      return steer(supervisor, stopping, printer, { ...wanted, control: false }) // signals still reach it
    },
  )
  held.end()
  void listenAgain(admin, printer)
  return steering
}

/** The predecessor closes its admin address in this very moment. What cannot be had by then is done without. */
async function listenAgain(admin: Admin | null, printer: Printer): Promise<void> {
  const deadline = performance.now() + ADMIN_BIND_WAIT
  for (;;) {
    try {
      return await admin?.listen()
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code === 'EADDRINUSE' && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, ADMIN_BIND_RETRY))
        continue
      }
      return printer.error('admin-failed', `not seen from outside: ${message}`, { code })
    }
  }
}
