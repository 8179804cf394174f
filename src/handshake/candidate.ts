import { SO_ERROR, SOL_SOCKET } from '../syscalls/constants.js'
import { getsockoptInt } from '../syscalls/sockopt.js'
import type { SocketAddress } from '../transport/address.js'
import { type Arrivals, type Connection, describe } from '../transport/arrivals.js'
import type { Proxied } from '../transport/proxied.js'
import type { Inspect, Inspected } from './verdict.js'

/** A connection of which it is not decided yet where it goes. Owns its descriptor. */
export class Candidate implements Inspected {
  readonly descriptor: number
  readonly since: number
  /** Who looks at it now: behind a header of a proxy it is somebody else. */
  inspect: Inspect
  /** What the proxies in front said; null: nothing yet. */
  proxied: Proxied | null = null
  /** The client has said that it will send nothing more. */
  hungUp = false
  /** That, and all it has sent is shown. */
  ended = false
  /** Bytes that must be there before it is looked at again. */
  more = 1
  looks = 0
  /** Its descriptor is reported when more comes. */
  watched = false
  /** More may have come than was shown, of which no event tells. */
  unseen = false
  /** Its descriptor was handed over or closed. */
  taken = false
  #batch: Arrivals | null
  readonly #index: number
  readonly #first: Inspect
  #ends: Connection | null = null

  /** Takes row `index` of a batch. */
  constructor(batch: Arrivals, index: number, inspect: Inspect, since: number) {
    this.descriptor = batch.descriptor(index)
    this.since = since
    this.inspect = inspect
    this.#first = inspect
    this.#batch = batch
    this.#index = index
  }

  get peer(): SocketAddress | null {
    return this.proxied === null ? this.#known().peer : this.proxied.peer
  }

  get local(): SocketAddress | null {
    return this.proxied === null ? this.#known().local : this.proxied.local
  }

  /** Nothing was taken from it: anybody could look at it anew. */
  get isUntouched(): boolean {
    return this.proxied === null && this.inspect === this.#first
  }

  /** The connection is broken, and its last bytes are of no use to anybody. */
  get hasFailed(): boolean {
    return getsockoptInt(this.descriptor, SOL_SOCKET, SO_ERROR) !== 0
  }

  /** The batch is about to be filled with others. */
  leaveBatch(): void {
    this.#batch = null
  }

  /** Asked for at most once, and mostly not at all. */
  #known(): Connection {
    this.#ends ??= this.#batch === null ? describe(this.descriptor) : this.#batch.describe(this.#index)
    return this.#ends
  }
}
