import { constant, kernel } from './kernel.js'
import { checked } from './result.js'

/** An option by the names of its level and itself, as in `['SOL_SOCKET', 'SO_REUSEADDR']`. */
export type SocketOption = readonly [level: string, name: string]

/**
 * Reads an integer option. Borrows the descriptor.
 * @throws {SyscallError} EBADF, ENOTSOCK, ENOPROTOOPT
 * @see getsockopt(2)
 */
export function getsockopt(descriptor: number, [level, name]: SocketOption): number {
  return checked(kernel.getsockopt(descriptor, constant(level), constant(name)), 'getsockopt', undefined, getsockopt)
}

/**
 * Sets an integer option. Borrows the descriptor.
 * @throws {SyscallError} EBADF, ENOTSOCK, ENOPROTOOPT
 * @see setsockopt(2)
 */
export function setsockopt(descriptor: number, [level, name]: SocketOption, value: number): void {
  checked(kernel.setsockopt(descriptor, constant(level), constant(name), value), 'setsockopt', undefined, setsockopt)
}
