/** What went wrong with datagrams sent earlier: the extended errors of IP and IPv6. */
import { shown, wholeNumber } from '../arguments.js'
import { SyscallError } from '../errors.js'
import { LITTLE_ENDIAN, viewOf } from '../syscalls/bytes.js'
import { IP_RECVERR, IPPROTO_IP, IPPROTO_IPV6, IPV6_RECVERR } from '../syscalls/constants.js'
import * as exchange from '../syscalls/exchange.js'
import {
  type Address,
  type AddressLike,
  decodeSockaddr,
  encodeSockaddr,
  IPV4_BYTES,
  IPV6_BYTES,
} from '../syscalls/sockaddr.js'
import { type Codec, defineCodec, fieldsOf } from './codec.js'

/** Where an error comes from, by its number in the kernel. */
const ORIGINS = ['none', 'local', 'icmp', 'icmp6', 'txstatus', 'zerocopy', 'txtime'] as const
export type ErrorOrigin = (typeof ORIGINS)[number]

/** A sock_extended_err and the node that reported it. */
export interface ExtendedError {
  /** The error's name as in Node's errors, `'ECONNREFUSED'`; empty for none. Its number, negative, is `errno`. */
  code: string
  errno: number
  /** A number where the kernel has more kinds than are known here. */
  origin: ErrorOrigin | number
  /** Type and code of the ICMP message, where that is the origin. */
  icmpType: number
  icmpCode: number
  /** EMSGSIZE: the path's MTU in bytes. MSG_ZEROCOPY: the first of the completed sends. */
  info: number
  /** MSG_ZEROCOPY: the last of the completed sends. */
  data: number
  /** Who reported it; null where nobody did. */
  offender: Address | null
}

const HEADER_BYTES = 16

function errorCodec(
  constant: string,
  level: number,
  type: number,
  addressBytes: number,
): Codec<ExtendedError, Partial<GivenError>> {
  const size = HEADER_BYTES + addressBytes
  return defineCodec({
    constant,
    level,
    type,
    size,
    encode: (error: Partial<GivenError>) => encode(error, size),
    decode,
  })
}

type GivenError = Omit<ExtendedError, 'code' | 'offender'> & { offender: AddressLike | null }

const FIELDS = ['code', 'errno', 'origin', 'icmpType', 'icmpCode', 'info', 'data', 'offender']

function encode(error: Partial<GivenError>, size: number): Buffer {
  const {
    errno = 0,
    origin = 'none',
    icmpType = 0,
    icmpCode = 0,
    info = 0,
    data = 0,
    offender = null,
  } = fieldsOf('error', error, FIELDS)
  const number = typeof origin === 'number' ? origin : ORIGINS.indexOf(origin)
  if (number < 0) throw new TypeError(`origin: one of ${ORIGINS.join(', ')} or a number, not ${shown(origin)}`)
  const bytes = Buffer.alloc(size)
  const view = viewOf(bytes)
  view.setUint32(0, -wholeNumber('errno', errno, -0xffff, 0), LITTLE_ENDIAN)
  view.setUint8(4, wholeNumber('origin', number, 0, 255))
  view.setUint8(5, wholeNumber('icmpType', icmpType, 0, 255))
  view.setUint8(6, wholeNumber('icmpCode', icmpCode, 0, 255))
  view.setUint32(8, wholeNumber('info', info, 0, 0xffffffff), LITTLE_ENDIAN)
  view.setUint32(12, wholeNumber('data', data, 0, 0xffffffff), LITTLE_ENDIAN)
  if (offender !== null) {
    const length = encodeSockaddr(offender, 'offender')
    if (length > size - HEADER_BYTES)
      throw new RangeError('offender: an address of the family of the socket, not another')
    bytes.set(exchange.address.subarray(0, length), HEADER_BYTES)
  }
  return bytes
}

function decode(bytes: Buffer): ExtendedError {
  const view = viewOf(bytes)
  const errno = 0 - view.getUint32(0, LITTLE_ENDIAN)
  const origin = view.getUint8(4)
  return {
    code: errno === 0 ? '' : new SyscallError(errno, 'recvmsg').code,
    errno,
    origin: ORIGINS[origin] ?? origin,
    icmpType: view.getUint8(5),
    icmpCode: view.getUint8(6),
    info: view.getUint32(8, LITTLE_ENDIAN),
    data: view.getUint32(12, LITTLE_ENDIAN),
    offender: offenderIn(bytes),
  }
}

/** The address behind the header; its family is 0 where the kernel knows none. */
function offenderIn(bytes: Buffer): Address | null {
  if (bytes[HEADER_BYTES] === 0 && bytes[HEADER_BYTES + 1] === 0) return null
  return decodeSockaddr(bytes, HEADER_BYTES, bytes.length - HEADER_BYTES)
}

/** Errors of an IPv4 socket, IP_RECVERR (Linux): received with the flag MSG_ERRQUEUE. @see ip(7) */
export const ipRecverr: Codec<ExtendedError, Partial<GivenError>> = errorCodec(
  'IP_RECVERR',
  IPPROTO_IP,
  IP_RECVERR,
  IPV4_BYTES,
)

/** Errors of an IPv6 socket, IPV6_RECVERR (Linux): received with the flag MSG_ERRQUEUE. @see ipv6(7) */
export const ipv6Recverr: Codec<ExtendedError, Partial<GivenError>> = errorCodec(
  'IPV6_RECVERR',
  IPPROTO_IPV6,
  IPV6_RECVERR,
  IPV6_BYTES,
)
