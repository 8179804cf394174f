import { SyscallError } from '../errors.js'
import { type Credentials, peerCredentials } from '../syscalls/credentials.js'

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
