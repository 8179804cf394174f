/** Codecs of IP, IPv6 and UDP. */
import { isIPv4, isIPv6 } from 'node:net'
import { shown, wholeNumber } from '../arguments.js'
import { integers, LITTLE_ENDIAN, viewOf } from '../syscalls/bytes.js'
import * as constants from '../syscalls/constants.js'
import { kernel } from '../syscalls/kernel.js'
import { type Codec, defineCodec, fieldsOf } from './codec.js'

const { AF_INET, AF_INET6, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP } = constants
const U32_MAX = 0xffffffff
const MACOS = process.platform === 'darwin'

interface NumberDefinition {
  constant: string
  level: number
  type: number
  receivedType?: number
  least: number
  most: number
  /** Bytes it is sent in. */
  size?: 2 | 4
  /** Whether it is received in one byte: as TOS is everywhere, and TTL on macOS. */
  shortened?: boolean
}

function numberCodec({
  constant,
  level,
  type,
  receivedType,
  least,
  most,
  size = 4,
  shortened = false,
}: NumberDefinition): Codec<number> {
  return defineCodec<number>({
    constant,
    level,
    type,
    ...(receivedType === undefined ? {} : { receivedType }),
    size,
    sizes: (length) => length === size || (shortened && length === 1),
    encode: (value) => {
      wholeNumber(constant, value, least, most)
      if (size === 4) return integers(value)
      const data = Buffer.alloc(size)
      viewOf(data).setUint16(0, value, LITTLE_ENDIAN)
      return data
    },
    decode: (data) => {
      const view = viewOf(data)
      if (data.length === 1) return view.getUint8(0)
      return data.length === 2 ? view.getUint16(0, LITTLE_ENDIAN) : view.getInt32(0, LITTLE_ENDIAN)
    },
  })
}

/** Time to live of an IPv4 datagram, 1 … 255: sent with it, or received where the socket has IP_RECVTTL. @see ip(7) */
export const ipTtl: Codec<number> = numberCodec({
  constant: 'IP_TTL',
  level: IPPROTO_IP,
  type: constants.IP_TTL,
  ...(MACOS ? { receivedType: constants.IP_RECVTTL, shortened: true } : {}),
  least: 1,
  most: 255,
})

/** Type of service of an IPv4 datagram, 0 … 255: sent with it, or received where the socket has IP_RECVTOS. @see ip(7) */
export const ipTos: Codec<number> = numberCodec({
  constant: 'IP_TOS',
  level: IPPROTO_IP,
  type: constants.IP_TOS,
  ...(MACOS ? { receivedType: constants.IP_RECVTOS } : {}),
  shortened: true,
  least: 0,
  most: 255,
})

/** Hop limit of an IPv6 datagram, 0 … 255, or -1 for the default: received with IPV6_RECVHOPLIMIT. @see ipv6(7) */
export const ipv6Hoplimit: Codec<number> = numberCodec({
  constant: 'IPV6_HOPLIMIT',
  level: IPPROTO_IPV6,
  type: constants.IPV6_HOPLIMIT,
  least: -1,
  most: 255,
})

/** Traffic class of an IPv6 datagram, 0 … 255, or -1 for the default: received with IPV6_RECVTCLASS. @see ipv6(7) */
export const ipv6Tclass: Codec<number> = numberCodec({
  constant: 'IPV6_TCLASS',
  level: IPPROTO_IPV6,
  type: constants.IPV6_TCLASS,
  least: -1,
  most: 255,
})

/** Bytes of each datagram that the kernel cuts one large send into, 0 … 65535 (Linux 4.18). @see udp(7) */
export const udpSegment: Codec<number> = numberCodec({
  constant: 'UDP_SEGMENT',
  level: IPPROTO_UDP,
  type: constants.UDP_SEGMENT,
  least: 0,
  most: 0xffff,
  size: 2,
})

/** Bytes of each datagram that the kernel joined into one receive, where the socket has UDP_GRO (Linux 5.0). @see udp(7) */
export const udpGro: Codec<number> = numberCodec({
  constant: 'UDP_GRO',
  level: IPPROTO_UDP,
  type: constants.UDP_GRO,
  least: 0,
  most: 0xffff,
})

/** Where an IPv4 datagram came in, or is to go out. */
export interface IpPacketInfo {
  /** Index of the interface; 0 to let the kernel choose. */
  interfaceIndex: number
  /** Our address that it came to, or is to be sent from; 0.0.0.0 to let the kernel choose. */
  local: string
  /** The destination in the datagram's header; received only. */
  destination: string
}

/** Interface and addresses of an IPv4 datagram: sent with it, or received where the socket has IP_PKTINFO. @see ip(7) */
export const ipPktinfo: Codec<IpPacketInfo, Partial<IpPacketInfo>> = defineCodec({
  constant: 'IP_PKTINFO',
  level: IPPROTO_IP,
  type: constants.IP_PKTINFO,
  size: 12,
  encode: (given: Partial<IpPacketInfo>): Buffer => {
    const {
      interfaceIndex = 0,
      local = '0.0.0.0',
      destination = '0.0.0.0',
    } = fieldsOf('ipPktinfo', given, ['interfaceIndex', 'local', 'destination'])
    const data = Buffer.alloc(12)
    viewOf(data).setInt32(0, wholeNumber('interfaceIndex', interfaceIndex, 0, 0x7fffffff), LITTLE_ENDIAN)
    putAddress('local', local, AF_INET, data, 4)
    putAddress('destination', destination, AF_INET, data, 8)
    return data
  },
  decode: (data): IpPacketInfo => ({
    interfaceIndex: viewOf(data).getInt32(0, LITTLE_ENDIAN),
    local: kernel.addressText(AF_INET, data, 4),
    destination: kernel.addressText(AF_INET, data, 8),
  }),
})

/** Where an IPv6 datagram came in, or is to go out. */
export interface Ipv6PacketInfo {
  /** Index of the interface; 0 to let the kernel choose. */
  interfaceIndex: number
  /** The address that it came to, or is to be sent from; `::` to let the kernel choose. */
  address: string
}

/** The same for IPv6: sent with a datagram, or received where the socket has IPV6_RECVPKTINFO. @see ipv6(7) */
export const ipv6Pktinfo: Codec<Ipv6PacketInfo, Partial<Ipv6PacketInfo>> = defineCodec({
  constant: 'IPV6_PKTINFO',
  level: IPPROTO_IPV6,
  type: constants.IPV6_PKTINFO,
  size: 20,
  encode: (given: Partial<Ipv6PacketInfo>): Buffer => {
    const { interfaceIndex = 0, address = '::' } = fieldsOf('ipv6Pktinfo', given, ['interfaceIndex', 'address'])
    const data = Buffer.alloc(20)
    putAddress('address', address, AF_INET6, data, 0)
    viewOf(data).setUint32(16, wholeNumber('interfaceIndex', interfaceIndex, 0, U32_MAX), LITTLE_ENDIAN)
    return data
  },
  decode: (data): Ipv6PacketInfo => ({
    interfaceIndex: viewOf(data).getUint32(16, LITTLE_ENDIAN),
    address: kernel.addressText(AF_INET6, data, 0),
  }),
})

function putAddress(name: string, text: unknown, family: number, data: Buffer, offset: number): void {
  const valid = typeof text === 'string' && (family === AF_INET ? isIPv4(text) : isIPv6(text) && !text.includes('%'))
  if (!valid) throw new TypeError(`${name}: a numeric IPv${family === AF_INET ? 4 : 6} address, not ${shown(text)}`)
  kernel.addressBytes(family, text as string, data, offset)
}
