import { errnoOf } from '../errors.js'
import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'
import { type AddressLike, encodeSockaddr, placeOf } from './sockaddr.js'

const IN_PROGRESS = errnoOf('EINPROGRESS')

/**
 * Connects a socket, or gives a datagram socket its peer. Borrows the descriptor.
 * @returns true: it is connected; false: it is under way, and SO_ERROR tells how it went once the socket is writable
 * @throws {SyscallError} ECONNREFUSED when nobody listens, ENOENT, EACCES, EAGAIN when a UNIX backlog is full
 * @see connect(2)
 */
export function connect(descriptor: number, address: AddressLike, called: Called = connect): boolean {
  const done = kernel.connect(descriptor, encodeSockaddr(address))
  if (done === IN_PROGRESS) return false
  checked(done, 'connect', placeOf(address), called)
  return true
}
