import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'

const integer = new Int32Array(1)
const integerBytes = new Uint8Array(integer.buffer)

/**
 * Reads an option into `value`. Borrows the descriptor.
 * @returns how many bytes it has
 * @throws {SyscallError} EBADF, ENOTSOCK, ENOPROTOOPT
 * @see getsockopt(2)
 */
export function getsockopt(
  descriptor: number,
  level: number,
  name: number,
  value: Uint8Array,
  called: Called = getsockopt,
): number {
  return checked(kernel.getsockopt(descriptor, level, name, value), 'getsockopt', undefined, called)
}

/** The same for an option that is an integer; shorter ones are filled up with zeros. */
export function getsockoptInt(descriptor: number, level: number, name: number, called: Called = getsockoptInt): number {
  integer[0] = 0
  checked(kernel.getsockopt(descriptor, level, name, integerBytes), 'getsockopt', undefined, called)
  return integer[0]
}

/**
 * Sets an option. Borrows the descriptor.
 * @throws {SyscallError} EBADF, ENOTSOCK, ENOPROTOOPT, EINVAL, EDOM, EPERM
 * @see setsockopt(2)
 */
export function setsockopt(
  descriptor: number,
  level: number,
  name: number,
  value: Uint8Array | number,
  called: Called = setsockopt,
): void {
  if (typeof value === 'number') integer[0] = value
  const bytes = typeof value === 'number' ? integerBytes : value
  checked(kernel.setsockopt(descriptor, level, name, bytes), 'setsockopt', undefined, called)
}
