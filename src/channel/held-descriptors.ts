import { HELD_DESCRIPTORS_MAX } from '../limits.js'
import { closeMany } from '../syscalls/descriptor.js'
import { badFrame } from '../wire/frame.js'

/** Descriptors that came back to their sender, with the tag each was given with. */
export interface Returned {
  descriptors: Int32Array
  tags: Uint32Array
}

/**
 * The sender's copies, oldest first, in one ring with three cursors.
 *
 * Invariant: settled <= sent <= taken. A copy is queued from `sent` to `taken`, in flight from `settled` to `sent`,
 * and gone (closed after a claim, or returned) below `settled`. Cursors are the sequence numbers of the wire.
 */
export class HeldDescriptors {
  #descriptors = new Int32Array(256)
  #tags = new Uint32Array(256)
  settled = 0
  sent = 0
  taken = 0

  get queued(): number {
    return this.taken - this.sent
  }

  get unclaimed(): number {
    return this.sent - this.settled
  }

  get room(): number {
    return HELD_DESCRIPTORS_MAX - (this.taken - this.settled)
  }

  /** Takes a descriptor. The caller has checked `room`. */
  take(descriptor: number, tag: number): void {
    const capacity = this.#descriptors.length
    if (this.taken - this.settled === capacity) this.#grow()
    const at = this.taken & (this.#descriptors.length - 1)
    this.#descriptors[at] = descriptor
    this.#tags[at] = tag
    this.taken += 1
  }

  /** The next descriptors to send, as they lie in the ring: at most `most`, and no further than its end. */
  next(most: number): { descriptors: Int32Array; first: number; count: number } {
    const first = this.sent & (this.#descriptors.length - 1)
    const count = Math.min(most, this.queued, this.#descriptors.length - first)
    return { descriptors: this.#descriptors, first, count }
  }

  /**
   * A peer may settle only what was sent and is not settled yet.
   * @throws {HandoverError} ERR_HANDOVER_BAD_FRAME
   */
  checkSent(sequence: number): void {
    if (sequence >= this.settled && sequence <= this.sent) return
    throw badFrame(`sequence ${sequence} is outside ${this.settled} to ${this.sent}`)
  }

  /** Closes every copy below `upTo`, oldest first. */
  close(upTo: number): void {
    while (this.settled < upTo) {
      const first = this.settled & (this.#descriptors.length - 1)
      const count = Math.min(upTo - this.settled, this.#descriptors.length - first)
      this.settled += count
      closeMany(this.#descriptors, first, count)
    }
  }

  /** Gives the copies below `upTo` back to the caller. */
  giveBack(upTo: number): Returned {
    const count = upTo - this.settled
    const descriptors = new Int32Array(count)
    const tags = new Uint32Array(count)
    for (let i = 0; i < count; i++, this.settled++) {
      const at = this.settled & (this.#descriptors.length - 1)
      descriptors[i] = this.#descriptors[at] as number
      tags[i] = this.#tags[at] as number
    }
    this.sent = Math.max(this.sent, upTo)
    return { descriptors, tags }
  }

  #grow(): void {
    const old = { descriptors: this.#descriptors, tags: this.#tags, mask: this.#descriptors.length - 1 }
    const capacity = old.descriptors.length * 2
    this.#descriptors = new Int32Array(capacity)
    this.#tags = new Uint32Array(capacity)
    for (let sequence = this.settled; sequence < this.taken; sequence++) {
      this.#descriptors[sequence & (capacity - 1)] = old.descriptors[sequence & old.mask] as number
      this.#tags[sequence & (capacity - 1)] = old.tags[sequence & old.mask] as number
    }
  }
}
