/** What a proxy in front said of a connection, and how it travels with it. */
import { isIP } from 'node:net'
import { shown, wholeNumber } from '../arguments.js'
import { PROXY_HEADER_BYTES_MAX } from '../limits.js'
import type { SocketAddress } from './address.js'

/** One of the type-length-value fields of a PROXY header of version 2, as it came. */
export interface ProxyField {
  /** 0 … 255; 0x01 ALPN, 0x02 authority, 0x05 unique id, 0x20 TLS, … */
  readonly type: number
  readonly value: Buffer
}

/** What a proxy in front said of a connection: who its client is, and where that client connected to. */
export interface Proxied {
  readonly peer: SocketAddress
  readonly local: SocketAddress
  /** In the order they came; none in version 1. */
  readonly fields: readonly ProxyField[]
}

/** Bytes before the value of each, in a header of version 2. */
const FIELD_HEADER = 3

type WireAddress = [address: string, port: number]

/** The same as JSON. */
export interface WireProxied {
  readonly peer: WireAddress
  readonly local: WireAddress
  /** Type and value, in base64. */
  readonly fields?: readonly [number, string][]
}

export function encodeProxied({ peer, local, fields }: Proxied): WireProxied {
  return {
    peer: [peer.address, peer.port],
    local: [local.address, local.port],
    ...(fields.length === 0 ? {} : { fields: fields.map(({ type, value }) => [type, value.toString('base64')]) }),
  }
}

/**
 * Makes sure that a program's own `Proxied` can be told and travel: addresses are numeric, fields fit in a header.
 * @throws {TypeError | RangeError} it cannot
 */
export function checkProxied({ peer, local, fields }: Proxied): void {
  for (const [name, end] of Object.entries({ peer, local })) {
    const read = decodeAddress([end?.address, end?.port])
    if (read !== null && read.family === end.family) continue
    throw new TypeError(`proxied.${name}: { address, family, port } with a numeric address, not ${shown(end)}`)
  }
  if (!Array.isArray(fields)) throw new TypeError(`proxied.fields: a list, not ${shown(fields)}`)
  let bytes = 0
  for (const { type, value } of fields as readonly ProxyField[]) {
    wholeNumber('proxied.fields: type', type, 0, 255)
    if (!Buffer.isBuffer(value)) throw new TypeError(`proxied.fields: value: a Buffer, not ${shown(value)}`)
    bytes += FIELD_HEADER + value.length
  }
  if (bytes <= PROXY_HEADER_BYTES_MAX) return
  throw new RangeError(
    `proxied.fields: at most ${PROXY_HEADER_BYTES_MAX} bytes with ${FIELD_HEADER} for each, not ${bytes}`,
  )
}

/** Reads what another program wrote. @returns null: it says nothing that can be understood */
export function decodeProxied(value: unknown): Proxied | null {
  const { peer, local, fields = [] } = (value ?? {}) as Partial<WireProxied>
  const [from, to] = [decodeAddress(peer), decodeAddress(local)]
  if (from === null || to === null || !Array.isArray(fields)) return null
  const read: ProxyField[] = []
  for (const field of fields as unknown[]) {
    const [type, text] = Array.isArray(field) ? (field as unknown[]) : []
    if (typeof type !== 'number' || typeof text !== 'string') return null
    read.push({ type, value: Buffer.from(text, 'base64') })
  }
  return { peer: from, local: to, fields: read }
}

function decodeAddress(value: unknown): SocketAddress | null {
  const [address, port] = Array.isArray(value) ? (value as unknown[]) : []
  const version = typeof address === 'string' ? isIP(address) : 0
  if (version === 0 || !Number.isInteger(port) || (port as number) < 0 || (port as number) > 0xffff) return null
  return { address: address as string, family: version === 4 ? 'IPv4' : 'IPv6', port: port as number }
}
