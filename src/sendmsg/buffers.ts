/** Buffers as arguments: bytes to gather from, and room to scatter into. */
import { types } from 'node:util'
import { shown } from '../arguments.js'
import { BUFFERS_PER_MESSAGE_MAX } from '../limits.js'
import { byteLengthOf } from '../syscalls/bytes.js'

/** Bytes in memory: a Buffer, any typed array or DataView, an ArrayBuffer. Strings have to be encoded first. */
export type Bytes = ArrayBufferView | ArrayBufferLike

/** One buffer, or any iterable of up to 1024 of them; never copied. */
export type Buffers = Bytes | Iterable<Bytes>

/** One buffer as a Uint8Array over the same memory; null for anything else. */
export function asBytes(value: unknown): Uint8Array | null {
  if (types.isUint8Array(value)) return value
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  return types.isAnyArrayBuffer(value) ? new Uint8Array(value) : null
}

/**
 * One Uint8Array, or several, over the memory of the argument.
 * @throws {TypeError} neither a buffer nor an iterable of buffers
 * @throws {RangeError} more than 1024 buffers
 */
export function buffersOf(name: string, value: unknown): Uint8Array | Uint8Array[] {
  const single = asBytes(value)
  if (single !== null) return single
  const iterable = value as Iterable<unknown> | null | undefined
  if (typeof value !== 'object' || typeof iterable?.[Symbol.iterator] !== 'function') {
    throw new TypeError(`${name}: a buffer or an iterable of buffers, not ${shown(value)}${remedyFor(value)}`)
  }
  const parts: Uint8Array[] = []
  for (const part of iterable) {
    const bytes = asBytes(part)
    if (bytes === null) throw new TypeError(`${name}[${parts.length}]: a buffer, not ${shown(part)}${remedyFor(part)}`)
    if (parts.length === BUFFERS_PER_MESSAGE_MAX) {
      throw new RangeError(`${name}: at most ${BUFFERS_PER_MESSAGE_MAX} buffers go into one message, not more`)
    }
    parts.push(bytes)
  }
  return parts
}

const remedyFor = (value: unknown): string => (typeof value === 'string' ? '; encode it with Buffer.from' : '')

/** Bytes of all parts together. */
export function totalOf(parts: Uint8Array | readonly Uint8Array[]): number {
  if (!Array.isArray(parts)) return byteLengthOf(parts as Uint8Array)
  return (parts as readonly Uint8Array[]).reduce((sum, part) => sum + byteLengthOf(part), 0)
}
