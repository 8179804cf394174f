import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'
import { type AddressLike, encodeSockaddr, placeOf } from './sockaddr.js'

/**
 * Gives a socket its address; a UNIX path is created. Borrows the descriptor.
 * @throws {SyscallError} EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOENT, EINVAL (it has one), with `address` and `port`
 * @see bind(2)
 */
export function bind(descriptor: number, address: AddressLike, called: Called = bind): void {
  checked(kernel.bind(descriptor, encodeSockaddr(address)), 'bind', placeOf(address), called)
}
