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
