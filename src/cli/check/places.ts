import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Settled } from '../../config/settle.js'
import { controlFolders, socketIn } from '../../control/folder.js'
import { nameOfScript } from '../../control/names.js'
import { SOCKET_PATH_MAX } from '../../limits.js'
import type { ListenOptions } from '../../transport/listening-port.js'
import { groundOf } from '../folders.js'
import type { Facts } from './facts.js'
import { type Finding, ok, system, warning } from './findings.js'

/** Whether ports, sockets and folders are to be had; nothing is opened or made. */
export function places({ values, supervisor }: Settled, facts: Facts): Finding[] {
  const { control, logs, cwd, admin } = values
  const own = socketIn(controlFolders()[0] as string, values.name ?? nameOfScript(values.script ?? 'handover'))
  const ports = supervisor.listen ?? []
  const adminPort = admin?.port ? [{ port: admin.port }] : []
  return [
    ...(ports.length === 0 ? [unknownPorts(facts)] : ports.map((port) => listens('port', port, facts))),
    ...adminPort.map((port) => listens('admin', port, facts)),
    control === false ? ok('control', 'none is wanted') : socket('control', control ?? own),
    ...(logs === undefined ? [] : [folder('logs', logs.folder)]),
    ...(cwd === undefined ? [] : [workingFolder(cwd)]),
  ]
}

function unknownPorts({ firstFreePort, mayBindAny }: Facts): Finding {
  const low = mayBindAny ? '' : `; below ${firstFreePort} this user may not listen`
  return ok(
    'ports',
    `the script says which when it runs, so they were not looked at (\`listen\` would name them)${low}`,
  )
}

function listens(about: string, options: ListenOptions, facts: Facts): Finding {
  if ('path' in options) return options.path.startsWith('\0') ? ok(about, '@ name') : socket(about, options.path)
  const { port } = options
  if (port === 0) return ok(about, 'any that is free')
  if (port < facts.firstFreePort && !facts.mayBindAny) {
    return system(
      about,
      `${port} is below ${facts.firstFreePort}: this user may not listen there; take a higher one, CAP_NET_BIND_SERVICE, or socket activation`,
    )
  }
  if (facts.listening.has(port)) {
    return warning(
      about,
      `somebody listens on ${port} already: stop that, or choose another port (unless it is this service)`,
    )
  }
  return ok(about, `${port} is free`)
}

function socket(about: string, path: string): Finding {
  const bytes = Buffer.byteLength(path)
  if (bytes > SOCKET_PATH_MAX) {
    return system(
      about,
      `${path} has ${bytes} bytes, ${SOCKET_PATH_MAX} are the most a socket's path may have: choose a shorter one`,
    )
  }
  return folder(about, dirname(path))
}

/** A folder that files can be made in, or that can be made itself. */
function folder(about: string, path: string): Finding {
  const { path: ground, fault } = groundOf(path)
  if (fault === null) return ok(about, `${ground} can be written to`)
  return system(about, `${fault}: choose another folder, or give this user the right to write there`)
}

function workingFolder(path: string): Finding {
  const found = statSync(path, { throwIfNoEntry: false })
  return found?.isDirectory() ? ok('cwd', path) : system('cwd', `there is no folder ${path}`)
}
