import { checkOptions, wholeNumber } from '../arguments.js'
import type { Connection } from '../transport/arrivals.js'
import { addressBytes, addressText, masked, unmapped } from './ip.js'

/** How much of a client's address counts, in bits. */
export interface AddressBits {
  /** Default 32: all of it. */
  v4?: number
  /** Default 64: one site, as machines change the rest of their address every day. */
  v6?: number
}

/**
 * A key of where a connection comes from, such as `192.0.2.7/32` or `2001:db8::/64`. IPv4 counts as IPv4 also where it is
 * written as IPv6 (`::ffff:192.0.2.7`).
 * @returns undefined over a UNIX socket, or when the client has gone already
 * @throws {TypeError | RangeError} bits that an address does not have
 */
export function addressKey(connection: Connection, bits: AddressBits = {}): string | undefined {
  return addressKeyOf(bits)(connection)
}

/** The same, with the bits checked once. */
export function addressKeyOf(bits: AddressBits): (connection: Connection) => string | undefined {
  checkOptions(bits, ['v4', 'v6'])
  const v4 = wholeNumber('v4', bits.v4 ?? 32, 0, 32)
  const v6 = wholeNumber('v6', bits.v6 ?? 64, 0, 128)
  return ({ peer }) => {
    const written = peer === null ? null : addressBytes(peer.address)
    if (written === null) return undefined
    const bytes = unmapped(written)
    const count = bytes.length === 4 ? v4 : v6
    return `${addressText(masked(bytes, count))}/${count}`
  }
}
