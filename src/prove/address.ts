import type { SocketAddress } from '../transport/address.js'

/** Where a client of this machine reaches a port; one that stands for all addresses by the machine's own. */
export function originAt({ address, port }: SocketAddress): string {
  const host = address === '::' ? '::1' : address === '0.0.0.0' ? '127.0.0.1' : address
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The same for `net.connect`. */
export function hostAndPort(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) }
}
