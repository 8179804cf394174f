/**
 * The path of a UNIX socket belongs to whoever has the socket open, which may be several processes: the last of them
 * removes it. Whether anybody still has it, the kernel tells without disturbing them. All that looks at a path and then
 * changes it does so in a folder that was opened once, at a file that is held, so that nobody who can rename what is
 * above it leads us elsewhere; and under the lock of the folder, if that can be had.
 */
import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lchownSync,
  lstatSync,
  openSync,
  unlinkSync,
} from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { errnoOf, SyscallError } from '../errors.js'
import { FOLDER_LOCK_WAIT } from '../limits.js'
import { bind } from '../syscalls/bind.js'
import { connect } from '../syscalls/connect.js'
import { AF_UNIX, SOCK_DGRAM } from '../syscalls/constants.js'
import { close } from '../syscalls/descriptor.js'
import { lockFolder, O_PATH } from '../syscalls/lock.js'
import { socket } from '../syscalls/socket.js'
import { getsockname } from '../syscalls/socket-name.js'

/** Whether what is open can be reached by its number, whatever became of its name. */
const BY_NUMBER = process.platform === 'linux' && existsSync('/proc/self/fd')

/** Whether it is a name without a file: Linux only, in no folder, without permissions. */
export function isAbstract(path: string): boolean {
  return path.startsWith('\0')
}

/** Which file a path led to, so that another that has come there since is told from it. */
export interface SocketFile {
  readonly device: bigint
  readonly inode: bigint
  /** Whose it must be if it is to be removed; undefined: this process's user's. */
  readonly owner: number | undefined
}

/** Which file is at a path now, itself and not what a link leads to; null: none to be seen, or the name is abstract. */
export function inodeOf(path: string, owner?: number): SocketFile | null {
  if (isAbstract(path)) return null
  try {
    const { dev, ino } = lstatSync(path, { bigint: true })
    return { device: dev, inode: ino, owner }
  } catch {
    return null // also if a folder above it cannot be looked into
  }
}

export function isSameFile(one: SocketFile | null, other: SocketFile | null): boolean {
  if (one === null || other === null) return one === other
  return one.device === other.device && one.inode === other.inode
}

/** The path or abstract name that a socket is bound to; null: none, or it is no UNIX socket. Borrows the descriptor. */
export function nameOf(descriptor: number): string | null {
  const name = getsockname(descriptor)
  return name?.family === 'unix' ? name.path : null
}

/**
 * Whether a path that somebody claims for a socket may be its own: the kernel knows the name it was bound to, from
 * whatever folder. Borrows the descriptor.
 */
export function isBoundTo(descriptor: number, path: string): boolean {
  const name = nameOf(descriptor)
  if (name === null) return false
  if (isAbstract(name) || isAbstract(path)) return name === path
  if (!path.startsWith('/')) return false
  if (name.startsWith('/')) return resolve(name) === resolve(path)
  const tail = resolve('/', name) // no `..` leads above the root
  return tail !== '/' && resolve(path).endsWith(tail)
}

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/**
 * Binds a stream socket to a path. A file that a dead owner has left is replaced; what anybody has open is not, nor is
 * any other file. Borrows the descriptor. Two that start at once on a stale path are kept apart by the lock of its
 * folder; where somebody else holds that for longer than 20 ms, by a last look alone.
 * @param mode  permission bits of the file; default: what the umask leaves
 * @throws {SyscallError} EADDRINUSE, EACCES, ENOENT, …, with the path
 */
export function bindPath(descriptor: number, path: string, mode?: number, owner?: Owner): void {
  if (isAbstract(path)) return bind(descriptor, { path })
  told(path, () =>
    lockFolder(dirname(path), FOLDER_LOCK_WAIT, (folder) => {
      const place = placeIn(folder, path)
      try {
        bind(descriptor, { path })
      } catch (error) {
        if ((error as SyscallError).code !== 'EADDRINUSE' || !removeDead(place, () => true)) throw error
        bind(descriptor, { path })
      }
      // Until it listens nobody can connect: the mode holds from the first client on.
      if (mode === undefined && owner === undefined) return
      const done = holding(place, (held) => {
        if (!held.status.isSocket()) return false
        try {
          if (owner !== undefined) (BY_NUMBER ? chownSync : lchownSync)(held.path, owner.uid, owner.gid)
          if (mode !== undefined) chmodSync(held.path, mode)
        } catch (error) {
          unlinkHeld(place, held)
          throw error
        }
        return true
      })
      if (!done) throw new SyscallError(errnoOf('ENOENT'), 'chmod', { address: path }) // it was taken away meanwhile
    }),
  )
}

/**
 * Changes the permission bits of a socket's file, to `mode` or by `mode`, if it is the same file still.
 * @throws {SyscallError} ENOENT: it is not there any more; EPERM, …
 */
export function changeMode(path: string, file: SocketFile | null, mode: number, keep: boolean): void {
  const done = told(path, () =>
    holding(path, ({ status, path: held }) => {
      const { dev, ino } = status
      if (!isSameFile(file, { device: dev, inode: ino, owner: undefined })) return false
      chmodSync(held, keep ? (Number(status.mode) & 0o777) | mode : mode)
      return true
    }),
  )
  if (!done) throw new SyscallError(errnoOf('ENOENT'), 'chmod', { address: path })
}

/**
 * Removes the path of a socket after its descriptor was closed, if nobody else has the socket open. Never throws, and
 * waits for no other user: where the file is another user's, the folder is locked by others or has become read-only, it
 * stays, and whoever listens there next finds it stale and replaces it.
 * @param file  what was there while it was ours; another is left alone
 */
export function removeIfLast(path: string, file: SocketFile | null): void {
  if (file === null || !isSameFile(inodeOf(path), file)) return
  try {
    lockFolder(dirname(path), 0, (folder, locked) => {
      if (folder === null || locked === 'held') return
      removeDead(placeIn(folder, path), ({ dev, ino, uid }) => {
        const isIt = isSameFile(file, { device: dev, inode: ino, owner: undefined })
        return isIt && Number(uid) === (file.owner ?? process.geteuid?.())
      })
    })
  } catch {
    // it stays, and is stale
  }
}

/** Where a path is in its folder, whatever happens to the names above that. */
function placeIn(folder: number | null, path: string): string {
  return BY_NUMBER && folder !== null ? `/proc/self/fd/${folder}/${basename(path)}` : path
}

/** A file that stays the same one, wherever its name leads by now. */
interface Held {
  readonly status: BigIntStats
  /** Leads to it. */
  readonly path: string
}

/** Does something with the file at a place, itself and not what a link leads to. @returns false: there is none */
function holding(place: string, work: (held: Held) => boolean): boolean {
  if (!BY_NUMBER) {
    const status = lstatSync(place, { bigint: true, throwIfNoEntry: false })
    return status !== undefined && work({ status, path: place })
  }
  let descriptor: number
  try {
    descriptor = openSync(place, O_PATH | constants.O_NOFOLLOW)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  try {
    return work({ status: fstatSync(descriptor, { bigint: true }), path: `/proc/self/fd/${descriptor}` })
  } finally {
    closeSync(descriptor)
  }
}

/** Removes a socket file that has no owner any more, if it is the one; whether it did. */
function removeDead(place: string, isIt: (status: BigIntStats) => boolean): boolean {
  return holding(
    place,
    (held) => held.status.isSocket() && isIt(held.status) && isDead(held.path) && unlinkHeld(place, held),
  )
}

/** Removes a file from its place, if it is still there. Whoever has the lock is alone with it between the two calls. */
function unlinkHeld(place: string, { status }: Held): boolean {
  const now = lstatSync(place, { bigint: true, throwIfNoEntry: false })
  if (now?.ino !== status.ino || now.dev !== status.dev) return false
  unlinkSync(place)
  return true
}

/**
 * Whether a socket file has no owner any more. Doubt is no. A datagram socket cannot connect to a stream: the kernel
 * says so if that one is open, and that nobody is there if not; the owner sees nothing of it.
 */
function isDead(path: string): boolean {
  const probe = socket(AF_UNIX, SOCK_DGRAM)
  try {
    connect(probe, { path })
    return false
  } catch (error) {
    return (error as SyscallError).code === 'ECONNREFUSED'
  } finally {
    close(probe)
  }
}

/** Errors of Node's, as errors of ours that name the path. */
function told<Result>(path: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    const { errno, syscall } = error as NodeJS.ErrnoException
    if (error instanceof SyscallError || errno === undefined) throw error
    throw new SyscallError(errno, syscall ?? 'open', { address: path })
  }
}
