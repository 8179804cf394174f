import { kernel } from './kernel.js'
import { checked } from './result.js'

/**
 * Writes a socket's own address into a 24-byte record. Borrows the descriptor.
 * @throws {SyscallError} EBADF, ENOTSOCK
 * @see getsockname(2); the record is described in transport/address.ts
 */
export function getsockname(descriptor: number, record: Uint8Array): void {
  checked(kernel.getsockname(descriptor, record), 'getsockname', undefined, getsockname)
}

/**
 * The same for the other end.
 * @throws {SyscallError} ENOTCONN: the peer has gone already
 * @see getpeername(2)
 */
export function getpeername(descriptor: number, record: Uint8Array): void {
  checked(kernel.getpeername(descriptor, record), 'getpeername', undefined, getpeername)
}
