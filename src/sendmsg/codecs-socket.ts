/** Codecs of the socket level: descriptors, credentials, timestamps. */
import { shown, wholeNumber } from '../arguments.js'
import { decodeTime, encodeTime, integers, LITTLE_ENDIAN, TIME_BYTES, viewOf } from '../syscalls/bytes.js'
import {
  SCM_CREDENTIALS,
  SCM_PIDFD,
  SCM_RIGHTS,
  SCM_TIMESTAMP,
  SCM_TIMESTAMPNS,
  SOL_SOCKET,
} from '../syscalls/constants.js'
import type { Credentials } from '../syscalls/credentials.js'
import { appendDescriptors, type ControlMessage } from './ancillary.js'
import { type Codec, dataOf, defineCodec, fieldsOf } from './codec.js'
import { type DescriptorLike, descriptorOf } from './socket-argument.js'

const U32_MAX = 0xffffffff

/** SCM_RIGHTS: descriptors. */
export interface RightsCodec extends Codec<number[], Iterable<DescriptorLike>> {
  /** All descriptors among received control messages, in the order sent; none if there are none. Each is the caller's. */
  from(ancillary: Iterable<ControlMessage>): number[]
}

/**
 * Descriptors, SCM_RIGHTS: `sendmsg(socket, Buffer.from('x'), [rights([descriptor])])`. Sending borrows them: the receiver gets
 * copies. What is received is given: numbers, close-on-exec.
 * @see unix(7)
 */
export const rights: RightsCodec = Object.assign(
  defineCodec<number[], Iterable<DescriptorLike>>({
    constant: 'SCM_RIGHTS',
    level: SOL_SOCKET,
    type: SCM_RIGHTS,
    size: 4,
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
    throw new TypeError(
      `descriptors: an iterable of descriptors, as in rights([descriptor]), not ${shown(descriptors)}`,
    )
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
  size: 12,
  encode: (given: Partial<Credentials>): Buffer => {
    const { pid, uid, gid } = fieldsOf('credentials', given, ['pid', 'uid', 'gid'])
    return integers(
      wholeNumber('pid', pid ?? process.pid, 0, 0x7fffffff),
      wholeNumber('uid', uid ?? process.geteuid?.(), 0, U32_MAX),
      wholeNumber('gid', gid ?? process.getegid?.(), 0, U32_MAX),
    )
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
  size: 4,
  encode: (number): Buffer => integers(wholeNumber('pidfd', number, -0x80000000, 0x7fffffff)),
  decode: (data) => viewOf(data).getInt32(0, LITTLE_ENDIAN),
})

const NANOSECONDS = 1_000_000_000n
/** What a C long holds. */
const SECONDS_MAX = TIME_BYTES === 8 ? 0x7fffffffn : 0x7fffffffffffffffn

/** Seconds and a fraction of them, `unit` nanoseconds each. */
function timeCodec(constant: string, type: number, unit: bigint): Codec<bigint> {
  return defineCodec<bigint>({
    constant,
    level: SOL_SOCKET,
    type,
    size: TIME_BYTES,
    encode: (time) => {
      if (typeof time !== 'bigint') throw new TypeError(`time: a bigint of nanoseconds, not ${shown(time)}`)
      if (time < 0n || time / NANOSECONDS > SECONDS_MAX || time % unit !== 0n) {
        throw new RangeError(`time: nanoseconds from 0, a multiple of ${unit}, not ${time}`)
      }
      return encodeTime(time / NANOSECONDS, Number((time % NANOSECONDS) / unit))
    },
    decode: (data) => {
      const { seconds, fraction } = decodeTime(data)
      return seconds * NANOSECONDS + BigInt(fraction) * unit
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
