/** How a running `handover run` is steered: by its control socket, and by SIGUSR2. */
import { statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { nameOf } from '../bootstrap/unix.js'
import { isSocketOf, openFolder, socketIn } from '../control/folder.js'
import { LineRing } from '../control/line-ring.js'
import { checkName, nameOfScript } from '../control/names.js'
import type { MakeReload, Progress } from '../control/reloads.js'
import { ControlServer, doWithout } from '../control/server.js'
import type { Descriptor } from '../sendmsg/descriptor.js'
import type { ReloadOptions } from '../supervisor/options.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { UsageError } from './options.js'
import type { Printer } from './printer.js'
import { reloadFailed } from './reload-failed.js'
import type { Stopping } from './stopping.js'

export interface Steering {
  /** Null: there is no control socket. */
  readonly server: ControlServer | null
  /** A reload of this process's own, in its turn; one that fails is said in the log, whoever asked. */
  readonly reload: MakeReload
  close(): Promise<void>
}

/** What a control socket is made with. */
export interface Wanted {
  script: string
  name?: string | undefined
  control?: string | false | undefined
  /** Makes reloads. Default: the supervisor's own. */
  reload?: MakeReload
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
  const { reload: make = (options: ReloadOptions) => supervisor.reload(options) } = wanted
  const failed = reloadFailed(printer)
  if (wanted.control === false) doWithout(wanted.inherited)
  const server =
    wanted.control === false ? null : await open(supervisor, stopping, printer, { ...wanted, reload: make }, failed)
  const reload: MakeReload = (options) => (server === null ? telling(make(options), failed) : server.reload(options))
  const signalled = (): void => {
    if (!stopping.forward('SIGUSR2')) reload({}).catch(() => {}) // it was told
  }
  process.on('SIGUSR2', signalled)
  return {
    server,
    reload,
    async close() {
      process.off('SIGUSR2', signalled)
      await server?.close()
    },
  }
}

/** The same, of which somebody else hears too if it fails. */
export async function telling<Result>(work: Promise<Result>, failed: (error: Error) => void): Promise<Result> {
  work.catch(failed)
  return work
}

async function open(
  supervisor: Supervisor,
  stopping: Stopping,
  printer: Printer,
  { script, name, control, reload, upgrade, orphanTime, inherited }: Wanted,
  onReloadFailed: (error: Error) => void,
): Promise<ControlServer> {
  const ring = new LineRing()
  supervisor.on('line', (line) => ring.add(line))
  const place = (): { name: string; path: string } => {
    try {
      return placeOf({ script, name, control })
    } catch (error) {
      const had = stayingOf({ script, name, control, inherited })
      if (had === null) throw error
      return had
    }
  }
  try {
    const server = await ControlServer.open({
      ...place(),
      supervisor,
      script,
      ring,
      ...(reload === undefined ? {} : { reload }),
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
    doWithout(inherited)
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

/** Where the socket of the process before is, if it is called as this one's is to be; null: it is not, or there is none. */
function stayingOf({ script, name, control, inherited }: Wanted): { name: string; path: string } | null {
  const path = inherited === undefined || control !== undefined ? null : nameOf(inherited.fd)
  const called = name ?? nameOfScript(script)
  return path !== null && isSocketOf(path, called) ? { name: called, path } : null
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
