/** Socket options by name, each with the kind of value it has. */
import { shown, wholeNumber } from '../arguments.js'
import { decodeTime, encodeTime, integers, LITTLE_ENDIAN, TIME_BYTES, viewOf } from '../syscalls/bytes.js'
import * as constants from '../syscalls/constants.js'
import type { Credentials } from '../syscalls/credentials.js'
import { credentials } from './codecs-socket.js'

const FLAGS = [
  ...(['SO_ACCEPTCONN', 'SO_BROADCAST', 'SO_DEBUG', 'SO_DONTROUTE', 'SO_KEEPALIVE', 'SO_NO_CHECK'] as const),
  ...(['SO_OOBINLINE', 'SO_PASSCRED', 'SO_PASSPIDFD', 'SO_PASSSEC', 'SO_REUSEADDR', 'SO_REUSEPORT'] as const),
  ...(['SO_RXQ_OVFL', 'SO_TIMESTAMP', 'SO_TIMESTAMPNS', 'SO_ZEROCOPY'] as const),
  ...(['IP_BIND_ADDRESS_NO_PORT', 'IP_FREEBIND', 'IP_HDRINCL', 'IP_MULTICAST_LOOP', 'IP_PKTINFO'] as const),
  ...(['IP_RECVERR', 'IP_RECVORIGDSTADDR', 'IP_RECVTOS', 'IP_RECVTTL', 'IP_TRANSPARENT'] as const),
  ...(['IPV6_DONTFRAG', 'IPV6_FREEBIND', 'IPV6_MULTICAST_LOOP', 'IPV6_RECVERR', 'IPV6_RECVHOPLIMIT'] as const),
  ...(['IPV6_RECVORIGDSTADDR', 'IPV6_RECVPKTINFO', 'IPV6_RECVTCLASS', 'IPV6_V6ONLY'] as const),
  ...(['TCP_CORK', 'TCP_NODELAY', 'TCP_QUICKACK', 'UDP_CORK', 'UDP_GRO'] as const),
] as const

const NUMBERS = [
  ...(['SO_BUSY_POLL', 'SO_DOMAIN', 'SO_ERROR', 'SO_INCOMING_CPU', 'SO_MARK', 'SO_PEEK_OFF', 'SO_PEERPIDFD'] as const),
  ...(['SO_PRIORITY', 'SO_PROTOCOL', 'SO_RCVBUF', 'SO_RCVBUFFORCE', 'SO_RCVLOWAT', 'SO_SNDBUF'] as const),
  ...(['SO_SNDBUFFORCE', 'SO_SNDLOWAT', 'SO_TIMESTAMPING', 'SO_TYPE'] as const),
  ...(['IP_MTU', 'IP_MTU_DISCOVER', 'IP_MULTICAST_TTL', 'IP_TOS', 'IP_TTL'] as const),
  ...([
    'IPV6_MTU',
    'IPV6_MTU_DISCOVER',
    'IPV6_MULTICAST_HOPS',
    'IPV6_MULTICAST_IF',
    'IPV6_TCLASS',
    'IPV6_UNICAST_HOPS',
  ] as const),
  ...(['TCP_DEFER_ACCEPT', 'TCP_FASTOPEN', 'TCP_KEEPCNT', 'TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_LINGER2'] as const),
  ...(['TCP_MAXSEG', 'TCP_NOTSENT_LOWAT', 'TCP_SYNCNT', 'TCP_USER_TIMEOUT', 'UDP_SEGMENT'] as const),
] as const

const TEXTS = ['SO_BINDTODEVICE', 'SO_PEERSEC', 'TCP_CONGESTION'] as const
const TIMES = ['SO_RCVTIMEO', 'SO_SNDTIMEO'] as const

/** What the options that are known by name have as values. */
export type SocketOptionValues = { [Name in (typeof FLAGS)[number]]: boolean } & {
  [Name in (typeof NUMBERS)[number]]: number
} & { [Name in (typeof TEXTS)[number]]: string } & {
  /** Milliseconds; 0 for no limit. */
  [Name in (typeof TIMES)[number]]: number
} & {
  /** Seconds that close waits for unsent data; null when it does not. */
  SO_LINGER: number | null
  /** Who is at the other end; read only. */
  SO_PEERCRED: Credentials
  /** A number that no other socket of this system ever has; read only. */
  SO_COOKIE: bigint
}
export type SocketOptionName = keyof SocketOptionValues

/** How the value of an option stands in bytes. */
export interface OptionForm<Value> {
  /** Bytes to read at most. */
  size: number
  decode(bytes: Buffer): Value
  encode(name: string, value: unknown): Buffer
}

const I32 = 0x7fffffff

/** The integer at `index`; of an option of fewer bytes than one integer, its first byte. */
export function integerAt(bytes: Buffer, index: number): number {
  return bytes.length < 4 * (index + 1) ? (bytes[0] ?? 0) : viewOf(bytes).getInt32(4 * index, LITTLE_ENDIAN)
}

const flag: OptionForm<boolean> = {
  size: 4,
  decode: (bytes) => integerAt(bytes, 0) !== 0,
  encode(name, value) {
    if (typeof value !== 'boolean') throw new TypeError(`value of ${name}: true or false, not ${shown(value)}`)
    return integers(value ? 1 : 0)
  },
}

const integer: OptionForm<number> = {
  size: 4,
  decode: (bytes) => integerAt(bytes, 0),
  encode: (name, value) => integers(wholeNumber(`value of ${name}`, value, -I32 - 1, I32)),
}

const text: OptionForm<string> = {
  size: 256,
  decode: (bytes) => bytes.toString('utf8').replace(/\0.*$/s, ''),
  encode(name, value) {
    if (typeof value !== 'string') throw new TypeError(`value of ${name}: text, not ${shown(value)}`)
    return Buffer.from(`${value}\0`)
  },
}

const linger: OptionForm<number | null> = {
  size: 8,
  decode: (bytes) => (integerAt(bytes, 0) === 0 ? null : integerAt(bytes, 1)),
  encode: (name, value) =>
    value === null ? integers(0, 0) : integers(1, wholeNumber(`value of ${name} in seconds`, value, 0, I32)),
}

const time: OptionForm<number> = {
  size: TIME_BYTES,
  decode(bytes) {
    const { seconds, fraction } = decodeTime(bytes)
    return Number(seconds) * 1000 + fraction / 1000
  },
  encode(name, value) {
    const milliseconds = wholeNumber(`value of ${name} in milliseconds`, value, 0)
    return encodeTime(BigInt(Math.floor(milliseconds / 1000)), (milliseconds % 1000) * 1000)
  },
}

function readOnly<Value>(size: number, decode: (bytes: Buffer) => Value): OptionForm<Value> {
  return {
    size,
    decode,
    encode(name) {
      throw new TypeError(`option: one that can be set, not ${name}, which can only be read`)
    },
  }
}

const forms = new Map<string, OptionForm<unknown>>([
  ...FLAGS.map((name): [string, OptionForm<unknown>] => [name, flag]),
  ...NUMBERS.map((name): [string, OptionForm<unknown>] => [name, integer]),
  ...TEXTS.map((name): [string, OptionForm<unknown>] => [name, text]),
  ...TIMES.map((name): [string, OptionForm<unknown>] => [name, time]),
  ['SO_LINGER', linger],
  ['SO_PEERCRED', readOnly(12, credentials.decode)],
  ['SO_COOKIE', readOnly(8, (bytes) => viewOf(bytes).getBigUint64(0, LITTLE_ENDIAN))],
])

/** Names of all options that are known by name, whether or not this platform has them. */
export const socketOptionNames = [...forms.keys()] as SocketOptionName[]

const LEVELS: Record<string, number> = {
  SO: constants.SOL_SOCKET,
  IP: constants.IPPROTO_IP,
  IPV6: constants.IPPROTO_IPV6,
  TCP: constants.IPPROTO_TCP,
  UDP: constants.IPPROTO_UDP,
}

/**
 * Level, number and form of an option.
 * @throws {TypeError} no option has this name, or this platform lacks it
 */
export function namedOption(name: string): { level: number; option: number; form: OptionForm<unknown> } {
  const form = forms.get(name)
  if (form === undefined) {
    throw new TypeError(`option: the name of a socket option, as in 'SO_RCVBUF', not ${shown(name)}`)
  }
  const option = (constants as Record<string, number | undefined>)[name]
  if (option === undefined) throw new TypeError(`option: one that this platform has, not ${name}`)
  return { level: LEVELS[name.slice(0, name.indexOf('_'))] as number, option, form }
}
