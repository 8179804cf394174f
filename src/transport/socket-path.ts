/**
 * The path of a UNIX socket belongs to whoever has the socket open, which may be several processes: the last of them
 * removes it. Whether anybody still has it, the kernel tells without disturbing them. All that looks at a path and then
 * changes it holds the lock of its folder.
 */
import { chmodSync, chownSync, lstatSync, statSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { SyscallError } from '../errors.js'
import { bind } from '../syscalls/bind.js'
import { connect } from '../syscalls/connect.js'
import { AF_UNIX, SOCK_DGRAM } from '../syscalls/constants.js'
import { close } from '../syscalls/descriptor.js'
import { lockFolder } from '../syscalls/lock.js'
import { socket } from '../syscalls/socket.js'

/** Whether it is a name without a file: Linux only, in no folder, without permissions. */
export function isAbstract(path: string): boolean {
  return path.startsWith('\0')
}

/** Which file is at a path now; null: none, or the name is abstract. */
export function inodeOf(path: string): bigint | null {
  if (isAbstract(path)) return null
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null
}

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/**
 * Binds a stream socket to a path. A file that a dead owner has left is replaced; what anybody has open never is, nor
 * is any other file. Borrows the descriptor.
 * @param mode  permission bits of the file; default: what the umask leaves
 * @throws {SyscallError} EADDRINUSE, EACCES, ENOENT, …, with the path
 */
export function bindPath(descriptor: number, path: string, mode?: number, owner?: Owner): void {
  if (isAbstract(path)) return bind(descriptor, { path })
  lockFolder(dirname(path), () => {
    try {
      bind(descriptor, { path })
    } catch (error) {
      if ((error as SyscallError).code !== 'EADDRINUSE' || !isStale(path)) throw error
      unlinkSync(path)
      bind(descriptor, { path })
    }
  })
  // Until it listens nobody can connect: the mode holds from the first client on.
  try {
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
    if (mode !== undefined) chmodSync(path, mode)
  } catch (error) {
    unlinkSync(path)
    const { errno, syscall } = error as NodeJS.ErrnoException
    throw errno === undefined ? error : new SyscallError(errno, syscall ?? 'chmod', { address: path })
  }
}

/**
 * Removes the path of a socket after its descriptor was closed, if nobody else has the socket open. Never throws: a
 * folder that has become read-only keeps the file, and whoever listens there next finds it stale and replaces it.
 * @param inode  the file that was there while it was ours; another is left alone
 */
export function removeIfLast(path: string, inode: bigint | null): void {
  if (inode === null || inodeNow(path) !== inode) return
  try {
    lockFolder(dirname(path), () => {
      if (inodeOf(path) === inode && isStale(path)) unlinkSync(path)
    })
  } catch {
    // it stays, and is stale
  }
}

function inodeNow(path: string): bigint | null {
  try {
    return inodeOf(path)
  } catch {
    return null // a folder above it cannot be looked into any more
  }
}

/**
 * Whether a socket file has no owner any more. Any other file, or doubt, is no. A datagram socket cannot connect to a
 * stream: the kernel says so if that one is open, and that nobody is there if not; the owner sees nothing of it.
 */
function isStale(path: string): boolean {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false
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
