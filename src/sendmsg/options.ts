import { shown, wholeNumber } from '../arguments.js'
import * as native from '../syscalls/sockopt.js'
import { asBytes, type Bytes } from './buffers.js'
import { type DescriptorLike, descriptorOf } from './socket-argument.js'
import { integerAt, namedOption, type SocketOptionName, type SocketOptionValues } from './socket-options.js'

const INTEGER_BYTES = 4
const I32_MAX = 0x7fffffff
/** The most that one call of getsockopt asks for, in bytes. */
const OPTION_BYTES_MAX = 64 * 1024

/**
 * Reads a socket option. Borrows the descriptor; the option SO_PEERPIDFD gives one.
 *
 * By name the value has the type of the option: a flag is a boolean, SO_LINGER seconds or null, a time milliseconds.
 * Raw, by level and number, it is an integer, or with `size` the bytes, at most that many.
 * @throws {TypeError | RangeError} a wrong argument, or a name that this platform lacks
 * @throws {SyscallError} ENOPROTOOPT, ENOTSUP, EINVAL, ENOTCONN, ENODATA, ERANGE, EBADF, ENOTSOCK
 * @see getsockopt(2), socket(7), ip(7), ipv6(7), tcp(7), udp(7)
 */
export function getsockopt<Name extends SocketOptionName>(socket: DescriptorLike, name: Name): SocketOptionValues[Name]
export function getsockopt(socket: DescriptorLike, level: number, option: number): number
export function getsockopt(socket: DescriptorLike, level: number, option: number, size: number): Buffer
export function getsockopt(
  socket: DescriptorLike,
  levelOrName: number | string,
  option?: number,
  size?: number,
): unknown {
  const descriptor = descriptorOf('socket', socket, 'getsockopt')
  if (typeof levelOrName === 'string') {
    const { level, option: number, form } = namedOption(levelOrName)
    const bytes = Buffer.alloc(form.size)
    return form.decode(bytes.subarray(0, native.getsockopt(descriptor, level, number, bytes, getsockopt)))
  }
  checkRaw(levelOrName, option)
  const bytes = Buffer.alloc(size === undefined ? 2 * INTEGER_BYTES : wholeNumber('size', size, 0, OPTION_BYTES_MAX))
  const length = native.getsockopt(descriptor, levelOrName, option as number, bytes, getsockopt)
  if (size !== undefined) return bytes.subarray(0, Math.min(length, bytes.length))
  if (length <= INTEGER_BYTES) return integerAt(bytes.subarray(0, length), 0)
  throw new RangeError(`size: how many bytes to read at most, as this option is no integer, not ${shown(size)}`)
}

/**
 * Sets a socket option. Borrows the descriptor. By name or raw, as {@link getsockopt}.
 * @param value  by name, the option's type; raw, an integer, or the bytes as the kernel takes them
 * @throws {TypeError | RangeError} a wrong argument, a name that this platform lacks, an option that is read only
 * @throws {SyscallError} ENOPROTOOPT, ENOTSUP, EINVAL, EDOM, EPERM, EACCES, EISCONN, EBADF, ENOTSOCK
 * @see setsockopt(2), socket(7), ip(7), ipv6(7), tcp(7), udp(7)
 */
export function setsockopt<Name extends SocketOptionName>(
  socket: DescriptorLike,
  name: Name,
  value: SocketOptionValues[Name],
): void
export function setsockopt(socket: DescriptorLike, level: number, option: number, value: number | Bytes): void
export function setsockopt(
  socket: DescriptorLike,
  levelOrName: number | string,
  optionOrValue: unknown,
  value?: number | Bytes,
): void {
  const descriptor = descriptorOf('socket', socket, 'setsockopt')
  if (typeof levelOrName === 'string') {
    const { level, option, form } = namedOption(levelOrName)
    return native.setsockopt(descriptor, level, option, form.encode(levelOrName, optionOrValue), setsockopt)
  }
  checkRaw(levelOrName, optionOrValue)
  const bytes = typeof value === 'number' ? wholeNumber('value', value, -I32_MAX - 1, I32_MAX) : asBytes(value)
  if (bytes === null) throw new TypeError(`value: an integer or a buffer, not ${shown(value)}`)
  native.setsockopt(descriptor, levelOrName, optionOrValue as number, bytes, setsockopt)
}

function checkRaw(level: unknown, option: unknown): void {
  if (typeof level !== 'number') {
    throw new TypeError(`option: the name of a socket option or the number of its level, not ${shown(level)}`)
  }
  wholeNumber('level', level, 0, I32_MAX)
  wholeNumber('option', option, 0, I32_MAX)
}
