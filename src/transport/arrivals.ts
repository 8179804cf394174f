import { ACCEPT_BATCH_MAX } from '../limits.js'
import { accept } from '../syscalls/accept.js'
import { closeMany } from '../syscalls/descriptor.js'
import { getpeername, getsockname } from '../syscalls/socket-name.js'
import { ADDRESS_SLOT, addressInSlot, type SocketAddress, socketAddress } from './address.js'

/** What a policy may know of a connection that has not been handed over yet. */
export interface Connection {
  /** Where it comes from; null over a UNIX socket, or when the client has gone already. */
  readonly peer: SocketAddress | null
  /** The address it came to; null over a UNIX socket. */
  readonly local: SocketAddress | null
}

/** Connections between accept(2) and a target, as rows of a few reused arrays. Owns their descriptors until taken. */
export interface Arrivals {
  readonly count: number
  /** Gives the descriptor of row `index`: whoever takes it owns it. */
  descriptor(index: number): number
  describe(index: number): Connection
}

/** A batch straight from a listening port; refilled by each `accept`, after every row was taken. */
export class AcceptBatch implements Arrivals {
  count = 0
  readonly #descriptors = new Int32Array(ACCEPT_BATCH_MAX)
  readonly #peers = new Uint8Array(ACCEPT_BATCH_MAX * ADDRESS_SLOT)
  readonly #local: SocketAddress | null

  /** @param local  where every connection comes to; null if only the kernel knows (the port is bound to any address) */
  constructor(local: SocketAddress | null) {
    this.#local = local
  }

  /** Accepts up to `most`. Borrows the listener. @returns how many, or -errno */
  fill(listener: number, most: number): number {
    const count = accept(listener, this.#descriptors, this.#peers, ADDRESS_SLOT, Math.min(most, ACCEPT_BATCH_MAX))
    this.count = Math.max(0, count)
    return count
  }

  descriptor(index: number): number {
    return this.#descriptors[index] as number
  }

  describe(index: number): Connection {
    const peer = addressInSlot(this.#peers, index)
    return { peer, local: this.#local ?? ask(getsockname, this.descriptor(index)) }
  }
}

/** Connections that a target did not take: they wait here, oldest first, for another. */
export class ReturnedArrivals implements Arrivals {
  readonly #descriptors: number[] = []

  get count(): number {
    return this.#descriptors.length
  }

  /** Takes descriptors. */
  add(descriptor: number): void {
    this.#descriptors.push(descriptor)
  }

  descriptor(index: number): number {
    return this.#descriptors[index] as number
  }

  describe(index: number): Connection {
    return {
      peer: ask(getpeername, this.descriptor(index)),
      local: ask(getsockname, this.descriptor(index)),
    }
  }

  /** The first `count` have been taken by a target. */
  forget(count: number): void {
    this.#descriptors.splice(0, count)
  }

  /** Nobody will take them: their clients see the end of the connection. */
  close(): void {
    closeMany(Int32Array.from(this.#descriptors.splice(0)))
  }
}

function ask(call: typeof getsockname, descriptor: number): SocketAddress | null {
  try {
    return socketAddress(call(descriptor))
  } catch {
    return null // the client has gone; the connection is still to be handed over
  }
}
