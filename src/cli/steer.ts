/** How a running `handover run` is steered: by its control socket, and by SIGUSR2. */
import { statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { openFolder, socketIn } from '../control/folder.js'
import { LineRing } from '../control/line-ring.js'
import { checkName, nameOfScript } from '../control/names.js'
import { type MakeReload, type Progress, reloadsOf } from '../control/reloads.js'
import { ControlServer } from '../control/server.js'
import type { Descriptor } from '../sendmsg/descriptor.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { UsageError } from './options.js'
import type { Printer } from './printer.js'
import { reloadFailed } from './reload-failed.js'
import type { Stopping } from './stopping.js'

export interface Steering {
  /** Null: there is no control socket. */
  readonly server: ControlServer | null
  close(): Promise<void>
}

/** What a control socket is made with. */
export interface Wanted {
  script: string
  name?: string | undefined
  control?: string | false | undefined
  /** Makes reloads. Default: the supervisor's own. */
  reload?: MakeReload
  /** The environment workers start with. Default: this process's. */
  env?: NodeJS.ProcessEnv
  /** Replaces this process. */
  upgrade?: (progress: Progress) => Promise<object>
  /** @see ControlOptions.orphanTime */
  orphanTime?: () => Promise<number>
  /** The socket, as the process before had it. Given. */
  inherited?: Descriptor | undefined
}

/**
 * Makes the control socket, unless none is wanted, and heeds SIGUSR2.
 * @throws {UsageError} the name, or a path that is too long; {HandoverError} ERR_HANDOVER_CONTROL
 */
export async function steer(
  supervisor: Supervisor,
  stopping: Stopping,
  printer: Printer,
  wanted: Wanted,
): Promise<Steering> {
  const { reload: make = reloadsOf(supervisor, wanted.env ?? process.env) } = wanted
  const failed = reloadFailed(printer)
  if (wanted.control === false) wanted.inherited?.close()
  const server =
    wanted.control === false ? null : await open(supervisor, stopping, printer, { ...wanted, reload: make }, failed)
  const reload = (): void => {
    if (stopping.forward('SIGUSR2')) return
    const asked = server === null ? make({}).catch(failed) : server.reload()
    asked.catch(() => {}) // the server has told
  }
  process.on('SIGUSR2', reload)
  return {
    server,
    async close() {
      process.off('SIGUSR2', reload)
      await server?.close()
    },
  }
}

async function open(
  supervisor: Supervisor,
  stopping: Stopping,
  printer: Printer,
  { script, name, control, reload, env, upgrade, orphanTime, inherited }: Wanted,
  onReloadFailed: (error: Error) => void,
): Promise<ControlServer> {
  const ring = new LineRing()
  supervisor.on('line', (line) => ring.add(line))
  try {
    const server = await ControlServer.open({
      ...placeOf({ script, name, control }),
      supervisor,
      script,
      ring,
      ...(reload === undefined ? {} : { reload }),
      ...(env === undefined ? {} : { env }),
      ...(upgrade === undefined ? {} : { upgrade }),
      ...(orphanTime === undefined ? {} : { orphanTime }),
      ...(inherited === undefined ? {} : { inherited }),
      stop: (order) => stopping.order(order),
      onRefused: (reason) => printer.warn('refused-client', `control socket: ${reason}`, { reason }),
      onReloadFailed,
    })
    printer.info('control', `runs as "${server.name}"`, { name: server.name, path: server.path })
    return server
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new UsageError(error.message.replace(/^(name|path): /, '--$1: '))
    }
    throw error
  }
}

/** What a supervisor is called, and where its control socket is. @throws {TypeError | RangeError} the name */
export function placeOf({ script, name: asked, control }: Pick<Wanted, 'script' | 'name' | 'control'>): {
  name: string
  path: string
} {
  const name = asked === undefined ? nameOfScript(script) : checkName(asked)
  return { name, path: typeof control === 'string' ? control : socketIn(openFolder(), name) }
}

/**
 * The working directory by the name the shell has for it: behind a symbolic link that moves to the next release, a
 * reload then finds that release.
 */
export function currentFolder(): string {
  const folder = process.cwd()
  const { PWD: named } = process.env
  if (named === undefined || !isAbsolute(named)) return folder
  const [one, other] = [named, folder].map((path) => statSync(path, { throwIfNoEntry: false }))
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev ? named : folder
}
