import type { SocketAddress } from './address.js'
import type { AcceptBatch } from './arrivals.js'

/** What connections are accepted from: a listening port, or several that are one to its clients. */
export interface Acceptor {
  /** Where it listens: an address, or the path of a UNIX socket. */
  readonly address: SocketAddress | string
  /** What the last `accept` has filled. */
  readonly batch: AcceptBatch
  /** Calls `ready` whenever connections wait, until `pause`. */
  watch(ready: () => void): void
  pause(): void
  /** Accepts up to `most` connections into `batch`. @returns how many, 0 when none waits, or -errno */
  accept(most: number): number
}
