import { SyscallError } from '../errors.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import { type Credentials, peerCredentials, peerPidfd } from '../syscalls/credentials.js'
import { close } from '../syscalls/descriptor.js'
import { identify } from '../syscalls/identity.js'
import { pidfdOpen } from '../syscalls/pidfd.js'

/**
 * What a bootstrap comes to: a connected UNIX stream socket with another process or thread at its other end. Whoever is
 * given an end owns its descriptor.
 */
export interface End {
  readonly descriptor: number
  /** Who is there, as far as the kernel told when it was connected; pid 0: it could not. */
  readonly credentials: Credentials
  /** Ask the kernel who says hello: a pair of sockets only knows who made it. */
  readonly asksSender?: boolean
  /** Milliseconds the other side has to say hello. Default: any time. */
  readonly patience?: number
}

const NOBODY: Credentials = { pid: 0, uid: 0xffffffff, gid: 0xffffffff }

/** Who is at the other end of a connected UNIX socket. Borrows it. */
export function endCredentials(descriptor: number): Credentials {
  try {
    return peerCredentials(descriptor)
  } catch (error) {
    if (error instanceof SyscallError && error.code !== 'EBADF') return NOBODY
    throw error
  }
}

/**
 * How the identity of an end's socket begins, up to its addresses, which change. Borrows the end; takes it when it throws.
 * @throws {SyscallError} EBADF
 */
export function identityStart({ descriptor }: End): string {
  try {
    return /^(\S+ ){6}/.exec(identify(descriptor))?.[0] ?? 'of no kind'
  } catch (error) {
    close(descriptor)
    throw error
  }
}

/**
 * A pidfd of the process at the other end: gives it. Of a socket that was connected the kernel knows it for sure; of a
 * pair it knows who said hello, by a pid which that process may have left to another since.
 * @returns null where the system has none
 */
export function pidfdOf({ asksSender }: End, descriptor: number, pid: number): Descriptor | null {
  try {
    const pidfd = asksSender ? pidfdOpen(pid) : peerPidfd(descriptor)
    return pidfd === null ? null : new Descriptor(pidfd)
  } catch (error) {
    if ((error as SyscallError).code === 'ENOSYS') return null
    throw error
  }
}
