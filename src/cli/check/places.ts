import { lstatSync, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Settled } from '../../config/settle.js'
import { controlFolders, socketIn, unfitFolder } from '../../control/folder.js'
import { nameOfScript } from '../../control/names.js'
import { SOCKET_PATH_MAX } from '../../limits.js'
import type { ListenOptions } from '../../transport/listening-port.js'
import { type Ground, groundOf } from '../folders.js'
import type { Facts } from './facts.js'
import { type Finding, ok, system, warning } from './findings.js'

/** Whether ports, sockets and folders are to be had; nothing is opened or made. */
export function places({ asked, values, supervisor }: Settled, facts: Facts): Finding[] {
  const { control, logs, cwd, admin, watch, readiness } = values
  const name = values.name ?? nameOfScript(values.script ?? 'handover')
  const ports = supervisor.listen ?? []
  const adminPort = admin?.port ? [{ port: admin.port }] : []
  return [
    ...(ports.length === 0 ? [unknownPorts(facts)] : ports.map((port) => listens('port', port, facts))),
    ...adminPort.map((port) => listens('admin', port, facts)),
    control === false
      ? ok('control', 'none is wanted')
      : control === undefined
        ? ownControl(name)
        : socket('control', control),
    ...(logs === undefined ? [] : [folder('logs', logs.folder)]),
    ...(cwd === undefined ? [] : [ok('cwd', cwd)]),
    ...(watch ? (watch.paths ?? []).flatMap(watched) : []),
    ...command(readiness?.command?.[0], cwd ?? asked.cwd),
  ]
}

/** The socket that has no path of its own: its folder is made, that above it is not. */
function ownControl(name: string): Finding {
  const folder = controlFolders()[0] as string
  const path = socketIn(folder, name)
  const why = unfitFolder(folder)
  if (why !== null) return system('control', `${why}; name a path of yours with --control <path>`)
  return lstat(folder) === null ? socket('control', path, dirname(folder)) : socket('control', path)
}

/** A path that is not there is watched all the same, in silence. */
function watched(path: string): Finding[] {
  return there(path) ? [] : [warning('watch', `there is no ${path}: check the path`)]
}

/** A program that is named by a path, seen from where workers run. */
function command(program: string | undefined, cwd: string): Finding[] {
  if (program?.includes('/') !== true || there(resolve(cwd, program))) return []
  return [warning('readiness', `there is no program ${program}: no worker would get ready`)]
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

/** @param ground  the folder that has to be there */
function socket(about: string, path: string, ground = dirname(path)): Finding {
  const bytes = Buffer.byteLength(path)
  if (bytes > SOCKET_PATH_MAX) {
    return system(
      about,
      `${path} has ${bytes} bytes, ${SOCKET_PATH_MAX} are the most a socket's path may have: choose a shorter one`,
    )
  }
  const there = lstat(path)
  if (there?.isDirectory()) return system(about, `${path} is a folder: name a path in it`)
  if (there?.isSocket() === false) return system(about, `${path} is there and is no socket: choose another path`)
  const found = groundOf(ground)
  if (found.fault === null && found.path !== resolve(ground)) {
    return system(about, `there is no folder ${ground}: make it, or choose another path`)
  }
  return inFolder(about, found)
}

/** A folder that files can be made in, or that can be made itself. */
function folder(about: string, path: string): Finding {
  return inFolder(about, groundOf(path))
}

function inFolder(about: string, { path: ground, fault }: Ground): Finding {
  if (fault === null) return ok(about, `${ground} can be written to`)
  return system(about, `${fault}: choose another folder, or give this user the right to write there`)
}

/** Null: nothing is to be seen there. */
function lstat(path: string): Stats | null {
  try {
    return lstatSync(path)
  } catch {
    return null
  }
}

function there(path: string): boolean {
  try {
    return statSync(path) !== undefined
  } catch {
    return false
  }
}
