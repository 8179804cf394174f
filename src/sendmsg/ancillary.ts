/** Control messages between the tuples of the API and the bytes of the kernel. */
import { shown, wholeNumber } from '../arguments.js'
import { ANCILLARY_BYTES_MAX, DESCRIPTORS_PER_MESSAGE_MAX } from '../limits.js'
import { byteLengthOf, LITTLE_ENDIAN } from '../syscalls/bytes.js'
import { SCM_PIDFD, SCM_RIGHTS, SOL_SOCKET } from '../syscalls/constants.js'
import { constant } from '../syscalls/kernel.js'
import { asBytes, type Bytes } from './buffers.js'

/** A control message to send. Its data is raw bytes, in the form of the C structure that the type asks for. */
export type ControlMessage = readonly [level: number, type: number, data: Bytes]

/** A control message that was received. Descriptors in it (SCM_RIGHTS, SCM_PIDFD) are the caller's to close. */
export type ReceivedControlMessage = [level: number, type: number, data: Buffer]

const HEADER = constant('CONTROL_HEADER')
const ALIGNMENT = constant('CONTROL_ALIGNMENT')
const DESCRIPTOR_BYTES = 4
/** Lengths above are no sizes that a system call can be told (socklen_t). */
const LENGTH_MAX = 0x7fffffff

const aligned = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT

/**
 * Bytes of a control message with `length` bytes of data, without padding behind it.
 * @param length  0 … 2147483631 bytes
 * @see cmsg(3)
 */
export function CMSG_LEN(length: number): number {
  return HEADER + wholeNumber('length', length, 0, LENGTH_MAX - HEADER)
}

/**
 * Bytes that a control message with `length` bytes of data takes among others, padding included: what an
 * `ancillarySize` is made of. For n descriptors it is `CMSG_SPACE(4 * n)`; it admits more where the padding has room.
 * @param length  0 … 2147483624 bytes
 * @see cmsg(3)
 */
export function CMSG_SPACE(length: number): number {
  return HEADER + aligned(wholeNumber('length', length, 0, LENGTH_MAX - HEADER - ALIGNMENT))
}

/** Checked control messages of one message, not placed anywhere yet. */
export interface Controls {
  /** Level and type of each. */
  readonly kinds: number[]
  readonly data: Uint8Array[]
  /** Bytes of each data, as they were when they were checked. */
  readonly lengths: number[]
  /** Descriptors in all of them. */
  readonly descriptors: number
  /** Bytes they take. */
  readonly space: number
}

/** @throws {TypeError} an argument is no iterable of control messages */
export function iterableOf(ancillary: unknown, name = 'ancillary'): Iterable<unknown> {
  if (Array.isArray(ancillary)) return ancillary
  const usable = typeof ancillary === 'object' && ancillary !== null && Symbol.iterator in ancillary
  if (usable && !ArrayBuffer.isView(ancillary)) return ancillary as Iterable<unknown>
  throw new TypeError(`${name}: an iterable of [level, type, data], not ${shown(ancillary)}`)
}

/**
 * One control message of an argument, its data as bytes; each part is looked at once.
 * @throws {TypeError | RangeError} it is none
 */
export function controlMessageOf(
  message: unknown,
  index: number,
  name = 'ancillary',
): readonly [level: number, type: number, data: Uint8Array] {
  if (Array.isArray(message) && message.length === 3) {
    const [level, type, data] = message as unknown[]
    const bytes = asBytes(data)
    if (isSigned(level) && isSigned(type) && bytes !== null) return [level, type, bytes]
    checkSigned(`${name}[${index}] level`, level)
    checkSigned(`${name}[${index}] type`, type)
    throw new TypeError(`${name}[${index}] data: a buffer, not ${shown(data)}`)
  }
  const came = Array.isArray(message) ? `an array of ${message.length}` : shown(message)
  const remedy = '; one message goes as [message], descriptors as [rights([…])]'
  throw new TypeError(`${name}[${index}]: [level, type, data], not ${came}${remedy}`)
}

const isSigned = (value: unknown): value is number => typeof value === 'number' && (value | 0) === value

function checkSigned(name: string, value: unknown): void {
  if (isSigned(value)) return
  if (typeof value === 'number') throw new RangeError(`${name}: a 32-bit whole number, not ${value}`)
  const missing = value === undefined ? '; does this platform have the constant?' : ''
  throw new TypeError(`${name}: a number, not ${shown(value)}${missing}`)
}

/**
 * Checks control messages to be sent; runs the caller's iterators, so nothing may be in the exchange yet.
 * @throws {TypeError | RangeError} something is no control message, descriptors are not whole, or they are too many
 */
export function controlsOf(ancillary: unknown, name = 'ancillary'): Controls {
  const kinds: number[] = []
  const data: Uint8Array[] = []
  const lengths: number[] = []
  let descriptors = 0
  let space = 0
  for (const message of iterableOf(ancillary, name)) {
    const [level, type, bytes] = controlMessageOf(message, data.length, name)
    const length = byteLengthOf(bytes)
    if (level === SOL_SOCKET && type === SCM_RIGHTS) {
      if (length % DESCRIPTOR_BYTES !== 0) {
        throw new RangeError(`${name}[${data.length}] data: whole descriptors of 4 bytes each, not ${length} bytes`)
      }
      descriptors += length / DESCRIPTOR_BYTES
    }
    space += HEADER + aligned(length)
    if (descriptors > DESCRIPTORS_PER_MESSAGE_MAX) {
      throw new RangeError(
        `${name}: at most ${DESCRIPTORS_PER_MESSAGE_MAX} descriptors go with one message, not ${descriptors}; send the others with another`,
      )
    }
    if (space > ANCILLARY_BYTES_MAX) {
      throw new RangeError(`${name}: at most ${ANCILLARY_BYTES_MAX} bytes of control messages, not ${space}`)
    }
    kinds.push(level, type)
    data.push(bytes)
    lengths.push(length)
  }
  return { kinds, data, lengths, descriptors, space }
}

/**
 * Puts control messages where the native floor expects them: data in `control` from `at` on, numbers in `index` from
 * entry `first` on. Runs no code of the caller's.
 * @throws {RangeError} data has changed its size since it was checked
 */
export function placeControls(
  { kinds, data, lengths }: Controls,
  control: Uint8Array,
  index: Int32Array,
  at = 0,
  first = 0,
): void {
  let start = at
  for (let i = 0; i < data.length; i++) {
    const bytes = data[i] as Uint8Array
    const length = lengths[i] as number
    const entry = 4 * (first + i)
    if (byteLengthOf(bytes) !== length) {
      throw new RangeError(`ancillary[${i}] data: ${length} bytes as when it was checked, not ${byteLengthOf(bytes)}`)
    }
    index[entry] = kinds[2 * i] as number
    index[entry + 1] = kinds[2 * i + 1] as number
    index[entry + 3] = length
    control.set(bytes, start + HEADER)
    start += HEADER + aligned(length)
  }
}

/** Copies `count` received control messages out, from entry `first` of the index on. */
export function readControls(
  control: Uint8Array,
  index: Int32Array,
  count: number,
  first = 0,
): ReceivedControlMessage[] {
  const messages: ReceivedControlMessage[] = []
  for (let entry = 4 * first; entry < 4 * (first + count); entry += 4) {
    const start = index[entry + 2] as number
    const length = index[entry + 3] as number
    const data = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i++) data[i] = control[start + i] as number
    messages.push([index[entry] as number, index[entry + 1] as number, data])
  }
  return messages
}

/** Whether a received control message of this kind brings descriptors that somebody must close. */
export function carriesDescriptors(level: number, type: number): boolean {
  return level === SOL_SOCKET && (type === SCM_RIGHTS || (type === SCM_PIDFD && SCM_PIDFD !== undefined))
}

/**
 * Appends the whole descriptor numbers in the data of a control message; a part of one at its end is none, and neither
 * is a negative number (of a pidfd that the kernel could not make).
 */
export function appendDescriptors(data: Uint8Array, numbers: number[]): void {
  for (let at = 0; at + DESCRIPTOR_BYTES <= data.byteLength; at += DESCRIPTOR_BYTES) {
    const [first, second, third, fourth] = [data[at], data[at + 1], data[at + 2], data[at + 3]] as Quad
    const number = LITTLE_ENDIAN
      ? first | (second << 8) | (third << 16) | (fourth << 24)
      : fourth | (third << 8) | (second << 16) | (first << 24)
    if (number >= 0) numbers.push(number)
  }
}

type Quad = [number, number, number, number]
