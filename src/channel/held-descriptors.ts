import { HELD_DESCRIPTORS_MAX } from '../limits.js'
import { closeMany } from '../syscalls/descriptor.js'
import { badFrame } from '../wire/frame.js'

/** What a descriptor was given with. Whoever gave it gets it back with the descriptor. */
export interface Note {
  /** What the peer is told of the descriptor, as the text of JSON; undefined: nothing. */
  readonly details?: string | undefined
}

/** Descriptors that came back to their sender, with the tag each was given with, and the note if there was one. */
export interface Returned {
  descriptors: Int32Array
  tags: Uint32Array
  /** By index into `descriptors`; few have one. */
  notes: ReadonlyMap<number, Note>
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
  /** As the others; what is settled keeps none. */
  #notes: (Note | undefined)[] = new Array<undefined>(256).fill(undefined)
  /** How many there are, and how many of them have details. */
  #noted = 0
  #detailed = 0
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

  /** So many were settled before, by somebody else. Only of a new one. */
  startAt(settled: number): void {
    this.settled = settled
    this.sent = settled
    this.taken = settled
  }

  /** Takes a descriptor. The caller has checked `room`. */
  take(descriptor: number, tag: number, note?: Note): void {
    const capacity = this.#descriptors.length
    if (this.taken - this.settled === capacity) this.#grow()
    const at = this.taken & (this.#descriptors.length - 1)
    this.#descriptors[at] = descriptor
    this.#tags[at] = tag
    if (note !== undefined) {
      this.#notes[at] = note
      this.#noted += 1
      if (note.details !== undefined) this.#detailed += 1
    }
    this.taken += 1
  }

  /** What the peer is to be told of the next `count`, null where that is nothing; null if nothing of any. */
  details(count: number): string[] | null {
    if (this.#detailed === 0) return null
    let any = false
    const details = Array.from({ length: count }, (_, i) => {
      const said = this.#notes[(this.sent + i) & (this.#notes.length - 1)]?.details
      any ||= said !== undefined
      return said ?? 'null'
    })
    return any ? details : null
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
    this.#forgetNotes(this.settled, upTo)
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
    const notes = new Map<number, Note>()
    for (let i = 0; i < count; i++, this.settled++) {
      const at = this.settled & (this.#descriptors.length - 1)
      descriptors[i] = this.#descriptors[at] as number
      tags[i] = this.#tags[at] as number
      const note = this.#notes[at]
      if (note !== undefined) notes.set(i, note)
    }
    this.#forgetNotes(upTo - count, upTo)
    this.sent = Math.max(this.sent, upTo)
    return { descriptors, tags, notes }
  }

  #forgetNotes(from: number, upTo: number): void {
    for (let sequence = from; sequence < upTo && this.#noted > 0; sequence++) {
      const at = sequence & (this.#notes.length - 1)
      const note = this.#notes[at]
      if (note === undefined) continue
      this.#notes[at] = undefined
      this.#noted -= 1
      if (note.details !== undefined) this.#detailed -= 1
    }
  }

  #grow(): void {
    const mask = this.#descriptors.length - 1
    const old = { descriptors: this.#descriptors, tags: this.#tags, notes: this.#notes, mask }
    const capacity = old.descriptors.length * 2
    this.#descriptors = new Int32Array(capacity)
    this.#tags = new Uint32Array(capacity)
    this.#notes = new Array<undefined>(capacity).fill(undefined)
    for (let sequence = this.settled; sequence < this.taken; sequence++) {
      this.#descriptors[sequence & (capacity - 1)] = old.descriptors[sequence & old.mask] as number
      this.#tags[sequence & (capacity - 1)] = old.tags[sequence & old.mask] as number
      this.#notes[sequence & (capacity - 1)] = old.notes[sequence & old.mask]
    }
  }
}
