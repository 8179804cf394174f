import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'

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
