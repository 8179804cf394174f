import { checkOptions, shown, wholeNumber } from '../arguments.js'
import { HANDSHAKE_BYTES, HANDSHAKE_BYTES_MAX, HANDSHAKE_TIME, UNDECIDED_MAX } from '../limits.js'
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

export type SettledHandshake = Required<Omit<HandshakeOptions, 'ports'>> & Pick<HandshakeOptions, 'ports'>

const KNOWN = ['inspect', 'ports', 'bytes', 'time', 'undecided', 'otherwise']

/** @throws {TypeError | RangeError} an option that is unknown, of the wrong type or out of range, by its name */
export function settleHandshake(options: HandshakeOptions): SettledHandshake {
  checkOptions(options, KNOWN)
  const { inspect, ports, bytes, time, undecided, otherwise = 'close' } = options
  if (typeof inspect !== 'function') {
    throw new TypeError(
      `handshake.inspect: a function (tlsServerName(…), httpRequestHead(…), …), not ${shown(inspect)}`,
    )
  }
  if (ports !== undefined && !(Array.isArray(ports) && ports.every(isPlace))) {
    throw new TypeError(`handshake.ports: a list of port numbers and paths, not ${shown(ports)}`)
  }
  if (otherwise !== 'close' && (typeof otherwise !== 'object' || otherwise === null)) {
    throw new TypeError(`handshake.otherwise: 'close', a route or a refusal, not ${shown(otherwise)}`)
  }
  const settled = otherwise === 'close' ? otherwise : destination('handshake.otherwise', otherwise)
  return {
    inspect,
    ...(ports === undefined ? {} : { ports }),
    bytes: wholeNumber('handshake.bytes', bytes ?? HANDSHAKE_BYTES, 1, HANDSHAKE_BYTES_MAX),
    time: wholeNumber('handshake.time', time ?? HANDSHAKE_TIME, 1, 0x7fffffff),
    undecided: wholeNumber('handshake.undecided', undecided ?? UNDECIDED_MAX, 1),
    otherwise: settled,
  }
}

function isPlace(place: unknown): boolean {
  return typeof place === 'string' || (Number.isInteger(place) && (place as number) >= 0 && (place as number) <= 0xffff)
}
