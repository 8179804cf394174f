import { AF_UNIX, SHUT_RDWR, SOCK_STREAM } from './constants.js'
import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'

/**
 * Makes a socket, non-blocking and close-on-exec. Gives the descriptor.
 * @throws {SyscallError} EMFILE, ENFILE, EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EPERM
 * @see socket(2)
 */
export function socket(family: number, type = SOCK_STREAM, protocol = 0, called: Called = socket): number {
  return checked(kernel.socket(family, type, protocol), 'socket', undefined, called)
}

/**
 * Makes two connected sockets, non-blocking and close-on-exec. Gives both descriptors.
 * @throws {SyscallError} EMFILE, ENFILE, ENOTSUP (only AF_UNIX can)
 * @see socketpair(2)
 */
export function socketpair(
  family = AF_UNIX,
  type = SOCK_STREAM,
  protocol = 0,
  called: Called = socketpair,
): [number, number] {
  const ends = new Int32Array(2)
  checked(kernel.socketpair(ends, family, type, protocol), 'socketpair', undefined, called)
  return [ends[0] as number, ends[1] as number]
}

/**
 * Ends one or both directions of a connection, for every copy of the descriptor. Borrows it.
 * @throws {SyscallError} ENOTCONN, EBADF, ENOTSOCK
 * @see shutdown(2)
 */
export function shutdown(descriptor: number, how: number, called: Called = shutdown): void {
  checked(kernel.shutdown(descriptor, how), 'shutdown', undefined, called)
}

/** Ends a connection for every copy of the descriptor, if it is not over already: others may have one. Borrows it. */
export function hangUp(descriptor: number): void {
  kernel.shutdown(descriptor, SHUT_RDWR)
}
