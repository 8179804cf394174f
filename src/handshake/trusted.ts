import { BlockList, isIP } from 'node:net'
import { shown } from '../arguments.js'
import type { Connection } from '../transport/arrivals.js'
import { addressBytes, addressText, unmapped } from './ip.js'

/**
 * Addresses, networks (`10.0.0.0/8`) and `unix` as one question: is a connection from there? IPv4 counts as IPv4 also where
 * it is written as IPv6.
 * @param option  what the list is called in errors
 * @throws {TypeError} an empty list, or what is none of these
 */
export function comesFrom(option: string, list: unknown): (connection: Connection) => boolean {
  if (!Array.isArray(list) || list.length === 0) {
    const given = Array.isArray(list) ? 'an empty one' : shown(list)
    throw new TypeError(
      `${option}: a list of addresses and networks, such as ['10.0.0.0/8', '::1', 'unix'], not ${given}`,
    )
  }
  // Two, as one list finds IPv4 addresses in networks of IPv6 such as ::/0.
  const known = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const [index, one] of list.entries()) if (one !== 'unix') add(known, `${option}[${index}]`, one)
  const unix = list.includes('unix')
  return ({ peer, local }) => {
    if (peer === null) return unix && local === null
    const written = addressBytes(peer.address)
    if (written === null) return false
    const bytes = unmapped(written)
    const family = familyOf(bytes)
    return known[family].check(addressText(bytes), family)
  }
}

function add(known: Record<'ipv4' | 'ipv6', BlockList>, option: string, one: unknown): void {
  const [address = '', prefix, ...rest] = typeof one === 'string' ? one.split('/') : []
  const written = isIP(address) !== 0 && !address.includes('%') && rest.length === 0 ? addressBytes(address) : null
  const bits = prefix === undefined ? (written?.length ?? 0) * 8 : Number(prefix)
  if (
    written === null ||
    !(Number.isInteger(bits) && bits >= 0 && bits <= written.length * 8) ||
    (prefix !== undefined && String(bits) !== prefix)
  ) {
    throw new TypeError(`${option}: an address, a network such as 10.0.0.0/8, or unix, not ${shown(one)}`)
  }
  const bytes = bits >= 96 ? unmapped(written) : written
  const own = bits - 8 * (written.length - bytes.length)
  const family = familyOf(bytes)
  known[family].addSubnet(addressText(bytes), own, family)
}

function familyOf(bytes: Uint8Array): 'ipv4' | 'ipv6' {
  return bytes.length === 4 ? 'ipv4' : 'ipv6'
}
