import { errnoOf } from '../errors.js'
import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'

const NO_SUCH_OPTION = errnoOf('ENOPROTOOPT')
const NO_PEER = errnoOf('ENODATA')

/** A process, as the kernel vouches for it. */
export interface Credentials {
  /** 0 where the system does not tell, or the process is of a namespace that cannot be seen from here. */
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/**
 * Who was at the other end of a UNIX socket when it was connected. Borrows the descriptor.
 * @throws {SyscallError} ENOTCONN: there is no peer; EBADF, ENOTSOCK, ENOPROTOOPT, ENODATA
 * @see unix(7), SO_PEERCRED; getpeereid(3)
 */
export function peerCredentials(descriptor: number, called: Called = peerCredentials): Credentials {
  const row = new Int32Array(3)
  checked(kernel.peerCredentials(descriptor, row), 'getsockopt', undefined, called)
  return { pid: row[0] as number, uid: (row[1] as number) >>> 0, gid: (row[2] as number) >>> 0 }
}

/**
 * A descriptor of the process at the other end of a UNIX socket: unlike its pid, it never stands for another. Borrows the
 * socket, gives the descriptor, close-on-exec.
 * @returns null where the system has no such thing (Linux has it from 6.5 on), or there is no peer
 * @throws {SyscallError} ESRCH: the process has ended; EBADF, ENOTSOCK, EMFILE
 * @see unix(7), SO_PEERPIDFD
 */
export function peerPidfd(descriptor: number, called: Called = peerPidfd): number | null {
  const pidfd = kernel.peerPidfd(descriptor)
  if (pidfd === NO_SUCH_OPTION || pidfd === NO_PEER) return null
  return checked(pidfd, 'getsockopt', undefined, called)
}
