import { kernel } from '../syscalls/kernel.js'

/** An IP address and port, shaped like Node's `server.address()`. */
export interface SocketAddress {
  address: string
  family: 'IPv4' | 'IPv6'
  port: number
}

/** Bytes of one address record of the native floor: family u8 | 0 | port u16 | scope u32 | address 16 bytes. */
export const ADDRESS_BYTES = kernel.constants.ADDRESS_BYTES as number

const FAMILY_IPV4 = 4
const FAMILY_IPV6 = 6

/** Reads one record; null for a UNIX socket, or when the kernel knew no address. */
export function decodeAddress(records: Uint8Array, offset = 0): SocketAddress | null {
  const family = records[offset]
  if (family !== FAMILY_IPV4 && family !== FAMILY_IPV6) return null
  const port = (records[offset + 2] as number) | ((records[offset + 3] as number) << 8)
  const address = kernel.addressText(records, offset)
  return { address, family: family === FAMILY_IPV4 ? 'IPv4' : 'IPv6', port }
}
