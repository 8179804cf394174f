import { resolve } from 'node:path'
import { checkOptions, shown, wholeMilliseconds, wholeNumber } from '../arguments.js'
import { HANDSHAKE_BYTES, HANDSHAKE_BYTES_MAX, HANDSHAKE_TIME, UNDECIDED_MAX } from '../limits.js'
import type { SocketAddress } from '../transport/address.js'
import { destination } from './destination.js'
import type { Inspect, Refusal, Route } from './verdict.js'

/** Connections are looked at before they are handed over, and handed over as what they first say asks for. */
export interface HandshakeOptions {
  /** Looks at what has come and decides. */
  inspect: Inspect
  /** The ports this is for, by number or path. Default: all of them. */
  ports?: readonly (number | string)[]
  /** Bytes within which it must be decided. Default 16 KiB, at most 64 KiB. */
  bytes?: number
  /** Milliseconds within which it must be decided. Default 10,000. */
  time?: number
  /** Undecided connections at a time, beyond which the oldest is given up. Default 4,096. */
  undecided?: number
  /**
   * What becomes of a connection that is not decided within bytes, time or number, or whose inspection throws: it is
   * closed, or goes somewhere all the same, or is told something first. Default 'close'.
   */
  otherwise?: 'close' | Route | Refusal
}

export type SettledHandshake = Required<Omit<HandshakeOptions, 'ports'>> &
  Pick<HandshakeOptions, 'ports'> & {
    /** The groups there are; null: any. */
    readonly groups: readonly string[] | null
  }

const KNOWN = ['inspect', 'ports', 'bytes', 'time', 'undecided', 'otherwise']

/**
 * @param groups  those that connections may be routed to; null: any
 * @throws {TypeError | RangeError} an option that is unknown, of the wrong type or out of range, by its name
 */
export function settleHandshake(options: HandshakeOptions, groups: readonly string[] | null = null): SettledHandshake {
  checkOptions(options, KNOWN)
  const { inspect, ports, bytes, time, undecided, otherwise = 'close' } = options
  if (typeof inspect !== 'function') {
    throw new TypeError(
      `handshake.inspect: a function (tlsServerName(…), httpRequestHead(…), …), not ${shown(inspect)}`,
    )
  }
  if (ports !== undefined && !Array.isArray(ports)) {
    throw new TypeError(`handshake.ports: a list of port numbers and paths, not ${shown(ports)}`)
  }
  if (otherwise !== 'close' && (typeof otherwise !== 'object' || otherwise === null)) {
    throw new TypeError(`handshake.otherwise: 'close', a route or a refusal, not ${shown(otherwise)}`)
  }
  const settled = otherwise === 'close' ? otherwise : destination('handshake.otherwise', otherwise)
  const named = typeof settled === 'object' && 'group' in settled ? settled.group : undefined
  if (groups !== null && named !== undefined && !groups.includes(named)) {
    throw new RangeError(`handshake.otherwise.group: one of ${groups.join(', ') || 'no groups'}, not ${shown(named)}`)
  }
  return {
    inspect,
    ...(ports === undefined ? {} : { ports: ports.map(checkedPlace) }),
    groups,
    bytes: wholeNumber('handshake.bytes', bytes ?? HANDSHAKE_BYTES, 1, HANDSHAKE_BYTES_MAX),
    time: wholeMilliseconds('handshake.time', time ?? HANDSHAKE_TIME, 1),
    undecided: wholeNumber('handshake.undecided', undecided ?? UNDECIDED_MAX, 1),
    otherwise: settled,
  }
}

/** A number as text is no path: nothing would be looked at, and nobody would notice. */
function checkedPlace(place: unknown, index: number): number | string {
  if (typeof place === 'number') return wholeNumber(`handshake.ports[${index}]`, place, 1, 0xffff)
  if (typeof place === 'string' && place !== '' && !/^\d+$/.test(place)) return placeOf(place)
  throw new TypeError(`handshake.ports[${index}]: a port number or a path, not ${shown(place)}`)
}

/** Where a port is, by which handshakes are for it: its number, or its path as seen from the root. */
export function placeOf(address: SocketAddress | string): number | string {
  if (typeof address !== 'string') return address.port
  return address.startsWith('\0') ? address : resolve(address)
}
