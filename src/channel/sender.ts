import { SEND_RETRY } from '../limits.js'
import type { Outbox } from './outbox.js'

/** What a sender tells the link it belongs to. */
interface SenderEvents {
  /** All that had to wait is with the kernel. */
  drained(): void
  /** It is time to try again. */
  again(): void
  /** The socket is of no use any more. */
  failed(error: Error): void
}

/** Empties an outbox into the kernel, again and again: when there is room, or after a while where nothing tells of room. */
export class Sender {
  /** Something waits for room in the socket. */
  blocked = false
  /** Nothing can be sent any more; what the peer wrote before is still to be read. */
  peerGone = false
  readonly #outbox: Outbox
  readonly #events: SenderEvents
  #busy = false
  #retry: NodeJS.Timeout | null = null

  constructor(outbox: Outbox, events: SenderEvents) {
    this.#outbox = outbox
    this.#events = events
  }

  /** Whether the kernel has everything. */
  get idle(): boolean {
    return !this.peerGone && this.#outbox.idle
  }

  push(): void {
    // Claims and counts are owed from when they are made: who waited for them to go is told, even if nothing blocked.
    const owed = this.#busy || !this.idle
    if (!this.peerGone) this.#try()
    const drained = owed && this.idle
    this.#busy = !this.idle
    if (drained) this.#events.drained()
  }

  #try(): void {
    try {
      const flushed = this.#outbox.flush()
      this.blocked = flushed === 'wait'
      this.peerGone = flushed === 'gone'
      if (flushed === 'retry') this.#retryLater()
    } catch (error) {
      this.peerGone = true
      this.#events.failed(error as Error)
    }
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = null
      this.#events.again()
    }, SEND_RETRY)
  }

  stop(): void {
    if (this.#retry !== null) clearTimeout(this.#retry)
  }
}
