/** Socket addresses: objects to the kernel's own bytes, and back. */
import { isIPv4, isIPv6 } from 'node:net'

import { shown, wholeNumber } from '../arguments.js'
import { SUN_PATH_BYTES } from '../limits.js'
import { byteLengthOf, LITTLE_ENDIAN, viewOf } from './bytes.js'
import { AF_INET, AF_INET6, AF_UNIX } from './constants.js'
import * as exchange from './exchange.js'
import { kernel } from './kernel.js'

export interface Ipv4Address {
  readonly family: 'IPv4'
  /** Numeric, as in `127.0.0.1`. */
  readonly address: string
  /** 0 … 65535 */
  readonly port: number
}

export interface Ipv6Address {
  readonly family: 'IPv6'
  /** Numeric, as in `::1`; where it is given to a call, a scope may follow: `fe80::1%eth0`, `fe80::1%2`. */
  readonly address: string
  readonly port: number
  /** The interface of a link-local address, by its index. Left out when 0. */
  readonly scopeId?: number
  /** Flow label and traffic class of the IPv6 header, as a number in host order. Left out when 0. */
  readonly flowInfo?: number
}

export interface UnixAddress {
  readonly family: 'unix'
  /** A path, or an abstract name, which starts with a zero byte (Linux). */
  readonly path: string
}

/** Any other family, or a UNIX path that is no UTF-8: the kernel's bytes, from the family on. */
export interface RawAddress {
  readonly family: 'raw'
  readonly bytes: Uint8Array
}

/** Where a socket is. */
export type Address = Ipv4Address | Ipv6Address | UnixAddress | RawAddress

/** An address as an argument: the family may be left out where the rest tells. */
export type AddressLike =
  | Address
  | Readonly<{ address: string; port: number; scopeId?: number; flowInfo?: number; family?: string | undefined }>
  | Readonly<{ path: string; family?: undefined }>

/** BSD systems put a length byte in front and shorten the family to one byte. */
const HAS_LENGTH = process.platform === 'darwin'
const PATH_OFFSET = 2
/** Bytes of a sockaddr_in and a sockaddr_in6. */
export const IPV4_BYTES = 16
export const IPV6_BYTES = 28

const exchangeView = viewOf(exchange.address)

/** The AF_ number of an address that the kernel wrote. */
export function familyAt(bytes: Uint8Array, offset: number): number {
  if (HAS_LENGTH) return bytes[offset + 1] as number
  const [low, high] = LITTLE_ENDIAN ? [offset, offset + 1] : [offset + 1, offset]
  return (bytes[low] as number) | ((bytes[high] as number) << 8)
}

/**
 * Reads an address that the kernel wrote.
 * @param length  bytes that it wrote, from `offset`
 * @returns null where there is none: an unnamed UNIX socket, or a message without a sender
 */
export function decodeSockaddr(bytes: Uint8Array, offset: number, length: number): Address | null {
  if (length <= PATH_OFFSET) return null
  const family = familyAt(bytes, offset)
  if (family === AF_INET && length >= IPV4_BYTES) {
    return { family: 'IPv4', address: kernel.addressText(AF_INET, bytes, offset + 4), port: portAt(bytes, offset) }
  }
  if (family === AF_INET6 && length >= IPV6_BYTES) return decodeIpv6(bytes, offset)
  if (family === AF_UNIX) {
    const path = pathAt(bytes, offset + PATH_OFFSET, length - PATH_OFFSET)
    if (path === '') return null
    if (path !== null) return { family: 'unix', path }
  }
  return { family: 'raw', bytes: Buffer.from(bytes.subarray(offset, offset + length)) }
}

function portAt(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset + 2] as number) << 8) | (bytes[offset + 3] as number)
}

function decodeIpv6(bytes: Uint8Array, offset: number): Address {
  const view = viewOf(bytes)
  const flowInfo = view.getUint32(offset + 4)
  const scopeId = view.getUint32(offset + 24, LITTLE_ENDIAN)
  return {
    family: 'IPv6',
    address: kernel.addressText(AF_INET6, bytes, offset + 8),
    port: portAt(bytes, offset),
    ...(scopeId === 0 ? {} : { scopeId }),
    ...(flowInfo === 0 ? {} : { flowInfo }),
  }
}

/** The path without its terminator, or the whole abstract name; null if it is no UTF-8, and would not be found again. */
function pathAt(bytes: Uint8Array, offset: number, length: number): string | null {
  const abstract = bytes[offset] === 0 && !HAS_LENGTH // elsewhere zeros are no name
  const terminator = abstract ? -1 : bytes.subarray(offset, offset + length).indexOf(0)
  const name = Buffer.from(bytes.buffer, bytes.byteOffset + offset, terminator < 0 ? length : terminator)
  const path = name.toString('utf8')
  return Buffer.from(path).equals(name) ? path : null
}

/**
 * Writes an address into the exchange, for the call that follows.
 * @param name  what the argument is called in errors
 * @returns its length in bytes
 * @throws {TypeError | RangeError} it is no address; an interface of this name is not there
 */
export function encodeSockaddr(address: AddressLike, name = 'address'): number {
  if (typeof address !== 'object' || address === null) {
    throw new TypeError(
      `${name}: an object such as { address: '127.0.0.1', port: 80 } or { path: '/run/x' }, not ${shown(address)}`,
    )
  }
  const { family, path, bytes, address: host, port, scopeId, flowInfo } = address as Record<string, unknown>
  if (family === 'raw') return encodeRaw(name, bytes)
  if (family === 'unix' || (family === undefined && path !== undefined)) return encodeUnix(name, path)
  if (family !== undefined && family !== 'IPv4' && family !== 'IPv6') {
    throw new TypeError(`${name}.family: 'IPv4', 'IPv6', 'unix' or 'raw', not ${shown(family)}`)
  }
  if (typeof host !== 'string') throw new TypeError(`${name}.address: a numeric address as text, not ${shown(host)}`)
  wholeNumber(`${name}.port`, port, 0, 0xffff)
  if (isIPv4(host) && family !== 'IPv6') return encodeIpv4(host, port as number)
  const cut = host.indexOf('%')
  const [numeric, scope] = cut < 0 ? [host] : [host.slice(0, cut), host.slice(cut + 1)]
  if (!isIPv6(numeric) || family === 'IPv4') {
    throw new TypeError(`${name}.address: a numeric ${family ?? 'IPv4 or IPv6'} address, not ${shown(host)}`)
  }
  for (const [field, value] of Object.entries({ scopeId, flowInfo })) {
    if (value !== undefined) wholeNumber(`${name}.${field}`, value, 0, 0xffffffff)
  }
  const index = scope === undefined ? (scopeId as number | undefined) : interfaceIndex(name, scope)
  return encodeIpv6(numeric, port as number, index ?? 0, (flowInfo as number | undefined) ?? 0)
}

function start(family: number, length: number): void {
  exchange.address.fill(0)
  if (HAS_LENGTH) {
    exchange.address[0] = length
    exchange.address[1] = family
  } else {
    exchangeView.setUint16(0, family, LITTLE_ENDIAN)
  }
}

function encodeIpv4(host: string, port: number): number {
  start(AF_INET, IPV4_BYTES)
  exchangeView.setUint16(2, port)
  kernel.addressBytes(AF_INET, host, exchange.address, 4)
  return IPV4_BYTES
}

function encodeIpv6(host: string, port: number, scopeId: number, flowInfo: number): number {
  start(AF_INET6, IPV6_BYTES)
  exchangeView.setUint16(2, port)
  exchangeView.setUint32(4, flowInfo)
  kernel.addressBytes(AF_INET6, host, exchange.address, 8)
  exchangeView.setUint32(24, scopeId, LITTLE_ENDIAN)
  return IPV6_BYTES
}

function encodeUnix(name: string, path: unknown): number {
  if (typeof path !== 'string') throw new TypeError(`${name}.path: text, not ${shown(path)}`)
  const abstract = path.startsWith('\0')
  if (path.includes('\0', 1)) {
    if (!abstract) throw new TypeError(`${name}.path: a zero byte only in front, not ${JSON.stringify(path)}`)
  }
  const bytes = Buffer.from(path)
  if (bytes.length > SUN_PATH_BYTES) {
    throw new RangeError(`${name}.path: at most ${SUN_PATH_BYTES} bytes, not ${bytes.length} (${path})`)
  }
  // Of a path the terminator counts where there is room for it, of an abstract name every byte is a part; nothing at
  // all lets Linux choose a name.
  const terminated = !abstract && path !== '' && bytes.length < SUN_PATH_BYTES
  const length = PATH_OFFSET + bytes.length + (terminated ? 1 : 0)
  start(AF_UNIX, length)
  exchange.address.set(bytes, PATH_OFFSET)
  return length
}

function encodeRaw(name: string, bytes: unknown): number {
  if (!(bytes instanceof Uint8Array)) throw new TypeError(`${name}.bytes: a Uint8Array, not ${shown(bytes)}`)
  const length = byteLengthOf(bytes)
  if (length < PATH_OFFSET || length > exchange.address.length) {
    throw new RangeError(`${name}.bytes: ${PATH_OFFSET} to ${exchange.address.length} bytes, not ${length}`)
  }
  exchange.address.set(bytes)
  return length
}

function interfaceIndex(name: string, scope: string): number {
  const index = /^\d+$/.test(scope) ? Number(scope) : scope.includes('\0') ? 0 : kernel.interfaceIndex(scope)
  if (index <= 0 || index > 0xffffffff) throw new RangeError(`${name}.address: there is no interface ${shown(scope)}`)
  return index
}

/** Where an address is, as errors tell it. */
export function placeOf(address: AddressLike): { address?: string; port?: number } {
  const {
    family,
    path,
    address: host,
    port,
  } = address as { family?: string; path?: string; address: string; port: number }
  if (family === 'raw') return {}
  if (path !== undefined && family !== 'IPv4' && family !== 'IPv6') return { address: path.replace(/^\0/, '@') }
  return { address: host, port }
}
