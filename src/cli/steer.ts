/** How a running `handover run` is steered: by its control socket, and by SIGUSR2. */
import { statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { openFolder, socketIn } from '../control/folder.js'
import { LineRing } from '../control/line-ring.js'
import { checkName, nameOfScript } from '../control/names.js'
import type { MakeReload } from '../control/reloads.js'
import { ControlServer } from '../control/server.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { UsageError } from './options.js'
import type { Printer } from './printer.js'
import type { Stopping } from './stopping.js'

export interface Steering {
  close(): Promise<void>
}

/** What a control socket is made with. */
export interface Wanted {
  script: string
  name?: string
  control?: string | false
  /** Makes reloads. Default: the supervisor's own. */
  reload?: MakeReload
  /** The environment workers start with. Default: this process's. */
  env?: NodeJS.ProcessEnv
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
  const { reload: make = (options) => supervisor.reload(options) } = wanted
  const failed = (error: Error): void =>
    printer.warn('reload-failed', `the reload failed: ${error.message}`, { message: error.message })
  const server =
    wanted.control === false ? null : await open(supervisor, stopping, printer, { ...wanted, reload: make }, failed)
  const reload = (): void => {
    const asked = server === null ? make({}).catch(failed) : server.reload()
    asked.catch(() => {}) // the server has told
  }
  process.on('SIGUSR2', reload)
  return {
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
  { script, name: asked, control, reload, env }: Wanted,
  onReloadFailed: (error: Error) => void,
): Promise<ControlServer> {
  const ring = new LineRing()
  supervisor.on('line', (line) => ring.add(line))
  try {
    const name = asked === undefined ? nameOfScript(script) : checkName(asked)
    const server = await ControlServer.open({
      name,
      path: typeof control === 'string' ? control : socketIn(openFolder(), name),
      supervisor,
      script,
      ring,
      ...(reload === undefined ? {} : { reload }),
      ...(env === undefined ? {} : { env }),
      stop: (order) => stopping.order(order),
      onRefused: (reason) => printer.warn('refused-client', `control socket: ${reason}`, { reason }),
      onReloadFailed,
    })
    printer.info('control', `runs as "${name}"`, { name, path: server.path })
    return server
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new UsageError(error.message.replace(/^(name|path): /, '--$1: '))
    }
    throw error
  }
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
