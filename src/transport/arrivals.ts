import { dropped } from '../diagnostics.js'
import { ACCEPT_BATCH_MAX } from '../limits.js'
import { accept } from '../syscalls/accept.js'
import { closeMany } from '../syscalls/descriptor.js'
import { getpeername, getsockname } from '../syscalls/socket-name.js'
import { ADDRESS_SLOT, addressInSlot, type SocketAddress, socketAddress } from './address.js'
import type { ArrivalNote } from './arrival-note.js'

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
  /** What was learnt of it already. */
  note(index: number): ArrivalNote | undefined
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

  note(): undefined {}

  describe(index: number): Connection {
    const peer = addressInSlot(this.#peers, index)
    return { peer, local: this.#local ?? ask(getsockname, this.descriptor(index)) }
  }
}

/** A connection that waits for a target. */
interface Row {
  readonly descriptor: number
  readonly note: ArrivalNote | undefined
  /** When it began to wait, as performance.now() tells. */
  readonly since: number
  /** A target has it, or it was closed. */
  gone: boolean
}

/** Connections that a target gave back, or that are decided and wait for one: oldest first. Owns their descriptors. */
export class WaitingArrivals implements Arrivals {
  #rows: Row[] = []

  get count(): number {
    return this.#rows.length
  }

  /** Takes a descriptor. */
  add(descriptor: number, note?: ArrivalNote): void {
    this.#rows.push({ descriptor, note, since: performance.now(), gone: false })
  }

  /** All of them. Borrowed. */
  get rows(): readonly { readonly descriptor: number; readonly note: ArrivalNote | undefined }[] {
    return this.#rows
  }

  descriptor(index: number): number {
    return (this.#rows[index] as Row).descriptor
  }

  note(index: number): ArrivalNote | undefined {
    return (this.#rows[index] as Row).note
  }

  describe(index: number): Connection {
    return this.note(index)?.proxied ?? describe(this.descriptor(index))
  }

  /**
   * Calls `give` for each that waits now; what it returns true for is gone. What is added meanwhile waits for the next
   * call.
   */
  giveOut(give: (index: number) => boolean): void {
    const rows = this.#rows
    const { length } = rows
    let any = false
    for (let index = 0; index < length && this.#rows === rows; index++) {
      const row = rows[index] as Row
      row.gone ||= give(index)
      any ||= row.gone
    }
    if (any && this.#rows === rows) this.#rows = rows.filter(({ gone }) => !gone)
  }

  /** Closes those that have waited for longer than `milliseconds` and that `stale` says so of. @returns how many */
  closeStale(milliseconds: number, stale: (note: ArrivalNote | undefined) => boolean): number {
    const before = performance.now() - milliseconds
    const late = this.#rows.filter(({ since, note }) => since <= before && stale(note))
    if (late.length > 0) this.#rows = this.#rows.filter((row) => !late.includes(row))
    this.#close(late)
    return late.length
  }

  /** Nobody will take them: their clients see the end of the connection. */
  close(): void {
    const rows = this.#rows
    this.#rows = []
    this.#close(rows)
  }

  #close(rows: readonly Row[]): void {
    const descriptors = Int32Array.from(rows.filter(({ gone }) => !gone).map(({ descriptor }) => descriptor))
    closeMany(descriptors)
    dropped(descriptors.length, 'no worker')
    for (const row of rows) row.gone = true
  }
}

/** Asks the kernel for both ends of a connection. Borrows the descriptor. */
export function describe(descriptor: number): Connection {
  return { peer: ask(getpeername, descriptor), local: ask(getsockname, descriptor) }
}

function ask(call: typeof getsockname, descriptor: number): SocketAddress | null {
  try {
    return socketAddress(call(descriptor))
  } catch {
    return null // the client has gone; the connection is still to be handed over
  }
}
