import { decodeSockaddr, IPV6_BYTES } from '../syscalls/sockaddr.js'

/** An IP address and port, shaped like Node's `server.address()`. */
export interface SocketAddress {
  address: string
  family: 'IPv4' | 'IPv6'
  port: number
}

/** Bytes of an IP address as the kernel writes it, the longer kind; of a UNIX address only the start fits. */
export const ADDRESS_SLOT = IPV6_BYTES

/** Reads the address in slot `index`; null for a UNIX socket, or when the kernel knew no address. */
export function addressInSlot(slots: Uint8Array, index: number): SocketAddress | null {
  return socketAddress(decodeSockaddr(slots, index * ADDRESS_SLOT, ADDRESS_SLOT))
}

export function socketAddress(address: ReturnType<typeof decodeSockaddr>): SocketAddress | null {
  if (address === null || (address.family !== 'IPv4' && address.family !== 'IPv6')) return null
  return { address: address.address, family: address.family, port: address.port }
}
