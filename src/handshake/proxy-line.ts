import { isIPv4, isIPv6 } from 'node:net'
import { PROXY_LINE_BYTES_MAX } from '../limits.js'
import type { SocketAddress } from '../transport/address.js'
import type { Proxied } from '../transport/proxied.js'
import { addressBytes, addressText } from './ip.js'
import type { Parsed } from './parsed.js'

/** A header of the PROXY protocol, which a proxy puts in front of what its client sends. */
export interface ProxyHeader {
  readonly version: 1 | 2
  /** How many bytes it has. */
  readonly length: number
  /** Null: it speaks of no client with an IP address (LOCAL, UNKNOWN, UNSPEC, UNIX). */
  readonly proxied: Proxied | null
}

export const PROXY_LINE_START = Buffer.from('PROXY ')

const LF = 0x0a
/** The shortest is `PROXY UNKNOWN` and its end. */
export const PROXY_LINE_LEAST = 15

const malformed = { not: 'a malformed PROXY header of version 1' }

/** Reads a header of version 1, a line of text; its start has been looked at. */
export function parseProxyLine(bytes: Buffer): Parsed<ProxyHeader> {
  const end = bytes.subarray(0, PROXY_LINE_BYTES_MAX).indexOf(LF)
  if (end < 0) {
    return bytes.length < PROXY_LINE_BYTES_MAX ? { more: Math.max(PROXY_LINE_LEAST, bytes.length + 1) } : malformed
  }
  const text = bytes.toString('latin1', 0, end - 1)
  if (bytes[end - 1] !== 0x0d || text.includes('\r')) return malformed
  const [, family, source, target, sourcePort, targetPort, ...rest] = text.split(' ')
  // What follows UNKNOWN is to be ignored.
  if (family === 'UNKNOWN') return { found: { version: 1, length: end + 1, proxied: null } }
  const peer = socketAddress(family, source, sourcePort)
  const local = socketAddress(family, target, targetPort)
  if (peer === null || local === null || rest.length > 0) return malformed
  return { found: { version: 1, length: end + 1, proxied: { peer, local, fields: [] } } }
}

function socketAddress(family = '', address = '', port = ''): SocketAddress | null {
  const number = Number(port)
  if (!(Number.isInteger(number) && number >= 0 && number <= 0xffff) || String(number) !== port) return null
  if (family === 'TCP4' && isIPv4(address)) return { address, family: 'IPv4', port: number }
  if (family !== 'TCP6' || !isIPv6(address) || address.includes('%')) return null
  return { address: addressText(addressBytes(address) as Uint8Array), family: 'IPv6', port: number }
}
