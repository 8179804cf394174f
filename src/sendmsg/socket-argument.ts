import { Server, Socket } from 'node:net'
import { shown } from '../arguments.js'
import { errnoOf, SyscallError } from '../errors.js'

/** A descriptor number, or an object that owns one: a {@link Descriptor}, a `FileHandle`, anything with `fd`. */
export type DescriptorLike = number | { readonly fd: number }

const BAD_DESCRIPTOR = errnoOf('EBADF')
const NUMBER_MAX = 0x7fffffff

/**
 * The number behind an argument. Borrows it.
 * @throws {TypeError | RangeError} it is none
 * @throws {SyscallError} EBADF: the object has closed or released its descriptor
 */
export function descriptorOf(name: string, value: unknown, syscall: string): number {
  const number = typeof value === 'object' && value !== null ? (value as { fd?: unknown }).fd : value
  if (typeof number === 'number' && number >= 0 && number <= NUMBER_MAX && Number.isInteger(number)) return number
  if (number === -1 && number !== value) throw new SyscallError(BAD_DESCRIPTOR, syscall)
  const wanted = `${name}: a descriptor number or an object with one in \`fd\``
  if (typeof value === 'number') throw new RangeError(`${wanted}, from 0 to ${NUMBER_MAX}, not ${value}`)
  const ofNode =
    value instanceof Socket || value instanceof Server ? '; Node keeps that of its own sockets to itself' : ''
  throw new TypeError(`${wanted}, not ${shown(value)}${ofNode}`)
}

/**
 * A flags argument: the MSG_ constants, or-ed.
 * @throws {TypeError | RangeError} it is no 32-bit number
 */
export function flagsOf(value: unknown): number {
  if (typeof value === 'number' && (value | 0) === value) return value
  if (typeof value !== 'number') throw new TypeError(`flags: a number, MSG_ constants or-ed, not ${shown(value)}`)
  throw new RangeError(`flags: a 32-bit number, MSG_ constants or-ed, not ${value}`)
}
