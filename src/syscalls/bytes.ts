/** The kernel's structures as bytes. */
import { endianness } from 'node:os'
import { constant } from './kernel.js'

/** What a DataView is told about numbers in the kernel's structures. */
export const LITTLE_ENDIAN = endianness() === 'LE'

/** Bytes of a struct timeval or timespec: two C longs. */
export const TIME_BYTES = constant('TIMEVAL_BYTES')

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Integers of four bytes, one behind the other. */
export function integers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  const view = viewOf(bytes)
  for (const [i, value] of values.entries()) view.setInt32(4 * i, value, LITTLE_ENDIAN)
  return bytes
}

/** A struct timeval or timespec: seconds, and a fraction of them in whatever unit it has. */
export function encodeTime(seconds: bigint, fraction: number): Buffer {
  if (TIME_BYTES === 8) return integers(Number(seconds), fraction)
  const bytes = Buffer.alloc(TIME_BYTES)
  const view = viewOf(bytes)
  view.setBigInt64(0, seconds, LITTLE_ENDIAN)
  view.setBigInt64(8, BigInt(fraction), LITTLE_ENDIAN)
  return bytes
}

export function decodeTime(bytes: Uint8Array): { seconds: bigint; fraction: number } {
  const view = viewOf(bytes)
  if (TIME_BYTES === 8) {
    return { seconds: BigInt(view.getInt32(0, LITTLE_ENDIAN)), fraction: view.getInt32(4, LITTLE_ENDIAN) }
  }
  // A fraction fits in 32 bits; macOS has no more, and padding behind them.
  const fraction = view.getInt32(LITTLE_ENDIAN ? 8 : 12, LITTLE_ENDIAN)
  return { seconds: view.getBigInt64(0, LITTLE_ENDIAN), fraction }
}

const lengthGetter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'byteLength')?.get

/** Bytes of a typed array, whatever its class or the object itself says. */
export const byteLengthOf = Function.prototype.call.bind(lengthGetter as () => number) as (bytes: Uint8Array) => number
