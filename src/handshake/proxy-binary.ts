import { PROXY_HEADER_BYTES_MAX } from '../limits.js'
import type { SocketAddress } from '../transport/address.js'
import type { Proxied, ProxyField } from '../transport/proxied.js'
import { crc32c } from './crc32c.js'
import { addressText } from './ip.js'
import type { Parsed } from './parsed.js'
import type { ProxyHeader } from './proxy-line.js'

export const PROXY_BINARY_START = Buffer.from('\r\n\r\n\0\r\nQUIT\n')

/** Bytes before the addresses. */
export const PROXY_BINARY_LEAST = 16
const FIXED_BYTES = PROXY_BINARY_LEAST
/** Bytes of both addresses with their ports, by family: none, IPv4, IPv6, UNIX. */
const ADDRESS_BYTES = [0, 12, 36, 216] as const
const UNIX = 3
const FIELD_HEADER = 3
const CRC32C = 0x03
const NOOP = 0x04

const malformed = { not: 'a malformed PROXY header of version 2' }

/** Reads a header of version 2, in binary; its start has been looked at. */
export function parseProxyBinary(bytes: Buffer): Parsed<ProxyHeader> {
  const [command, transport] = [bytes[12], bytes[13]]
  if (command !== undefined && command !== 0x20 && command !== 0x21) return malformed
  // Of a LOCAL one, all that follows is to be ignored.
  if (transport !== undefined && command === 0x21 && (transport >> 4 > UNIX || (transport & 15) > 2)) return malformed
  if (bytes.length < FIXED_BYTES) return { more: FIXED_BYTES }
  const length = FIXED_BYTES + bytes.readUInt16BE(14)
  if (length > PROXY_HEADER_BYTES_MAX) return { not: `a PROXY header of more than ${PROXY_HEADER_BYTES_MAX} bytes` }
  if (bytes.length < length) return { more: length }
  const proxied = command === 0x20 ? null : readProxied(bytes.subarray(0, length), transport as number)
  return proxied === undefined ? malformed : { found: { version: 2, length, proxied } }
}

/** Undefined if it is malformed; null if it speaks of no IP addresses. */
function readProxied(header: Buffer, transport: number): Proxied | null | undefined {
  const [family, protocol] = [transport >> 4, transport & 15]
  if (family === 0 || protocol === 0) return null // nothing says what follows
  const start = FIXED_BYTES + (ADDRESS_BYTES[family] as number)
  const fields = readFields(header, start)
  if (fields === null) return undefined
  if (family === UNIX) return null
  const bytes = family === 1 ? 4 : 16
  const address = (index: 0 | 1): SocketAddress => ({
    address: addressText(header.subarray(FIXED_BYTES + index * bytes, FIXED_BYTES + (index + 1) * bytes)),
    family: family === 1 ? 'IPv4' : 'IPv6',
    port: header.readUInt16BE(start - 4 + 2 * index),
  })
  return { peer: address(0), local: address(1), fields }
}

/** The fields from `start` on, to the end; null if they are malformed, or a checksum among them is wrong. */
function readFields(header: Buffer, start: number): ProxyField[] | null {
  if (start > header.length) return null
  const fields: ProxyField[] = []
  for (let at = start; at < header.length; ) {
    if (at + FIELD_HEADER > header.length) return null
    const type = header[at] as number
    const valueAt = at + FIELD_HEADER
    at = valueAt + header.readUInt16BE(at + 1)
    if (at > header.length) return null
    if (type === NOOP) continue
    const value = Buffer.from(header.subarray(valueAt, at))
    if (type === CRC32C) {
      // Two of them could not both be right; and so nobody makes us sum up the header again and again.
      if (value.length !== 4 || fields.some((one) => one.type === CRC32C)) return null
      if (crc32c(header, valueAt) !== value.readUInt32BE(0)) return null
    }
    fields.push({ type, value })
  }
  return fields
}
