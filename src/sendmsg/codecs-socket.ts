/** Codecs of the socket level: descriptors, credentials, timestamps. */
import { shown, wholeNumber } from '../arguments.js'
import { LITTLE_ENDIAN } from '../syscalls/byte-order.js'
import {
  SCM_CREDENTIALS,
  SCM_PIDFD,
  SCM_RIGHTS,
  SCM_TIMESTAMP,
  SCM_TIMESTAMPNS,
  SOL_SOCKET,
} from '../syscalls/constants.js'
import type { Credentials } from '../syscalls/credentials.js'
import { constant } from '../syscalls/kernel.js'
import { appendDescriptors, type ControlMessage } from './ancillary.js'
import { type Codec, dataOf, defineCodec, fieldsOf } from './codec.js'
import { type DescriptorLike, descriptorOf } from './socket-argument.js'

const U32_MAX = 0xffffffff

const viewOf = (data: Buffer): DataView => new DataView(data.buffer, data.byteOffset, data.byteLength)

/** SCM_RIGHTS: descriptors. */
export interface RightsCodec extends Codec<number[], Iterable<DescriptorLike>> {
  /** All descriptors among received control messages, in the order sent; none if there are none. Each is the caller's. */
  from(ancillary: Iterable<ControlMessage>): number[]
}

/**
 * Descriptors, SCM_RIGHTS: `sendmsg(socket, 'x', [rights([descriptor])])`. Sending borrows them: the receiver gets
 * copies. What is received is given: numbers, close-on-exec.
 * @see unix(7)
 */
export const rights: RightsCodec = Object.assign(
  defineCodec<number[], Iterable<DescriptorLike>>({
    constant: 'SCM_RIGHTS',
    level: SOL_SOCKET,
    type: SCM_RIGHTS,
    sizes: () => true, // a cut-off message has fewer descriptors, each of them whole
    encode: encodeRights,
    decode: (data) => descriptorsIn([data]),
  }),
  {
    from: (ancillary: Iterable<ControlMessage>): number[] => descriptorsIn(dataOf(ancillary, SOL_SOCKET, SCM_RIGHTS)),
  },
)

function descriptorsIn(all: readonly Uint8Array[]): number[] {
  const numbers: number[] = []
  for (const data of all) appendDescriptors(data, numbers)
  return numbers
}

function encodeRights(descriptors: Iterable<DescriptorLike>): Buffer {
  if (typeof descriptors !== 'object' || typeof descriptors?.[Symbol.iterator] !== 'function') {
    throw new TypeError(`descriptors: an iterable of descriptors, not ${shown(descriptors)}`)
  }
  const numbers: number[] = []
  for (const value of descriptors) {
    const plain = typeof value === 'number' && (value | 0) === value && value >= 0
    numbers.push(plain ? value : descriptorOf(`descriptors[${numbers.length}]`, value, 'sendmsg'))
  }
  const data = Buffer.allocUnsafe(4 * numbers.length)
  for (let i = 0; i < numbers.length; i++) {
    if (LITTLE_ENDIAN) data.writeInt32LE(numbers[i] as number, 4 * i)
    else data.writeInt32BE(numbers[i] as number, 4 * i)
  }
  return data
}

/**
 * Who sends, SCM_CREDENTIALS (Linux): received where the socket has SO_PASSCRED. Sending it needs this process's own
 * numbers, which are what is left out, or rights to claim others.
 * @see unix(7)
 */
export const credentials: Codec<Credentials, Partial<Credentials>> = defineCodec({
  constant: 'SCM_CREDENTIALS',
  level: SOL_SOCKET,
  type: SCM_CREDENTIALS,
  sizes: (length) => length === 12,
  encode: (given: Partial<Credentials>): Buffer => {
    const { pid, uid, gid } = fieldsOf('credentials', given)
    const data = Buffer.alloc(12)
    const view = viewOf(data)
    view.setUint32(0, wholeNumber('pid', pid ?? process.pid, 0, 0x7fffffff), LITTLE_ENDIAN)
    view.setUint32(4, wholeNumber('uid', uid ?? process.geteuid?.(), 0, U32_MAX), LITTLE_ENDIAN)
    view.setUint32(8, wholeNumber('gid', gid ?? process.getegid?.(), 0, U32_MAX), LITTLE_ENDIAN)
    return data
  },
  decode: (data): Credentials => {
    const view = viewOf(data)
    const [pid, uid, gid] = [0, 4, 8].map((at) => view.getUint32(at, LITTLE_ENDIAN)) as [number, number, number]
    return { pid, uid, gid }
  },
})

/**
 * A descriptor that stands for the sending process, SCM_PIDFD (Linux 6.5): received where the socket has SO_PASSPIDFD,
 * never sent. It is given: the caller closes it. A negative number says that the kernel could not make one.
 * @see pidfd_open(2)
 */
export const pidfd: Codec<number> = defineCodec({
  constant: 'SCM_PIDFD',
  level: SOL_SOCKET,
  type: SCM_PIDFD,
  sizes: (length) => length === 4,
  encode: (number): Buffer => {
    const data = Buffer.alloc(4)
    viewOf(data).setInt32(0, wholeNumber('pidfd', number, -0x80000000, 0x7fffffff), LITTLE_ENDIAN)
    return data
  },
  decode: (data) => viewOf(data).getInt32(0, LITTLE_ENDIAN),
})

const NANOSECONDS = 1_000_000_000n

/** A struct timeval or timespec: two C longs, of 8 bytes each on 64-bit systems. */
const TIME_BYTES = constant('TIMEVAL_BYTES')

/** Seconds and a fraction of them, `unit` nanoseconds each; written for 64-bit systems only. */
function timeCodec(constant: string, type: number, unit: bigint): Codec<bigint> {
  return defineCodec<bigint>({
    constant,
    level: SOL_SOCKET,
    type,
    sizes: (length) => length === TIME_BYTES,
    encode: (time) => {
      if (typeof time !== 'bigint') throw new TypeError(`time: a bigint of nanoseconds, not ${shown(time)}`)
      if (time < 0n || time / NANOSECONDS > 0x7fffffffffffffffn || time % unit !== 0n) {
        throw new RangeError(`time: nanoseconds from 0, a multiple of ${unit}, not ${time}`)
      }
      const data = Buffer.alloc(16)
      viewOf(data).setBigInt64(0, time / NANOSECONDS, LITTLE_ENDIAN)
      viewOf(data).setBigInt64(8, (time % NANOSECONDS) / unit, LITTLE_ENDIAN)
      return data
    },
    decode: (data) => {
      const view = viewOf(data)
      const long = (at: number): bigint =>
        data.length === 16 ? view.getBigInt64(2 * at, LITTLE_ENDIAN) : BigInt(view.getInt32(at, LITTLE_ENDIAN))
      // macOS has microseconds in 32 bits, and padding behind them.
      const fraction = process.platform === 'darwin' ? BigInt(view.getInt32(data.length / 2, LITTLE_ENDIAN)) : long(4)
      return long(0) * NANOSECONDS + fraction * unit
    },
  })
}

/**
 * When the message came, SCM_TIMESTAMP: received where the socket has SO_TIMESTAMP. Nanoseconds since 1970, in steps
 * of a microsecond.
 * @see socket(7)
 */
export const timestamp: Codec<bigint> = timeCodec('SCM_TIMESTAMP', SCM_TIMESTAMP, 1000n)

/** The same in nanoseconds, SCM_TIMESTAMPNS (Linux): received where the socket has SO_TIMESTAMPNS. @see socket(7) */
export const timestampns: Codec<bigint> = timeCodec('SCM_TIMESTAMPNS', SCM_TIMESTAMPNS, 1n)
