import * as exchange from './exchange.js'
import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'
import { type Address, decodeSockaddr } from './sockaddr.js'

/**
 * A socket's own address; null when it has none. Borrows the descriptor.
 * @throws {SyscallError} EBADF, ENOTSOCK
 * @see getsockname(2)
 */
export function getsockname(descriptor: number, called: Called = getsockname): Address | null {
  const length = checked(kernel.getsockname(descriptor), 'getsockname', undefined, called)
  return decodeSockaddr(exchange.address, 0, length)
}

/**
 * The same for the other end.
 * @throws {SyscallError} ENOTCONN: there is no peer, or it has gone already; EBADF, ENOTSOCK
 * @see getpeername(2)
 */
export function getpeername(descriptor: number, called: Called = getpeername): Address | null {
  const length = checked(kernel.getpeername(descriptor), 'getpeername', undefined, called)
  return decodeSockaddr(exchange.address, 0, length)
}
