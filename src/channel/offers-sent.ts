import { whenHeard } from '../awake.js'
import { HandoverError } from '../errors.js'
import { OFFERS_WAITING_MAX, WITHDRAWAL_ANSWER_MAX } from '../limits.js'
import { closeMany, dup } from '../syscalls/descriptor.js'
import * as closedWithThread from '../syscalls/thread-end.js'
import { badFrame } from '../wire/frame.js'
import { WINDOW, type Window } from '../wire/hello.js'
import { encodeOffer, encodeWithdrawal, Outcome, type Verdict } from '../wire/offer.js'
import type { Link } from './link.js'
import type { Packed } from './packing.js'

/** One call of `send`, from the call to its end. */
interface Offer {
  number: number
  state: 'waiting' | 'with the peer' | 'ended'
  readonly claimed: () => void
  readonly failed: (error: unknown) => void
  /** Null while things are still being released. */
  packed: Packed | null
  frames: { parts: Buffer[]; last: Buffer } | null
  bytes: number
  descriptors: Int32Array
  /** Whether the descriptors are duplicates of ours. */
  held: boolean
  /** Why it is not wanted any more. */
  withdrawn: unknown
  endGrace: (() => void) | null
  /** The kernel has its descriptors. */
  sent: boolean
  /** Its things are on their way out of use: it is told of its end once they are as before. */
  releasing: boolean
}

/** A place in the order of the offers, to be filled or left. */
interface Place {
  /** Takes what was packed, now or as soon as it is. */
  fill(packed: Packed | Promise<Packed>, message: unknown): void
  /** It could not be packed. */
  failed(error: unknown): void
  /** It is not wanted any more. */
  withdraw(reason: unknown): void
}

/**
 * Offers of this side, in the order of the calls; where they are passed on, in the order in which they are ready.
 *
 * Invariant: an offer waits here, or is with the peer, or has ended; it ends once, claimed or not, and what was not
 * claimed is its sender's as before. An offer that waits holds duplicates, so a number that somebody closes and the
 * system uses again never sends another file. No more is with the peer than its window allows.
 */
export class OffersSent {
  #waiting: Offer[] = []
  readonly #unanswered = new Map<number, Offer>()
  #descriptors = 0
  #bytes = 0
  /** The number of the next. It goes on where another stopped. */
  last = 0
  #ended: Error | null = null
  #link: Link | null = null
  #window: Window = WINDOW
  /** The peer does not answer: what ends the channel so that both sides agree. */
  readonly #cut: () => void
  /**
   * The peer passes offers on to others, who may have them when the peer is gone. Nothing is between two of them, so that
   * one whose things are still being released holds up no other.
   */
  readonly #passedOn: boolean

  constructor(cut: () => void, passedOn = false) {
    this.#cut = cut
    this.#passedOn = passedOn
  }

  get count(): number {
    return this.#waiting.length + this.#unanswered.size
  }

  /** From now on offers go over this link. Borrows it. */
  open(link: Link, window: Window): void {
    this.#link = link
    this.#window = window
    this.#ended = null
    this.pump()
  }

  /**
   * Takes a place in the order.
   * @throws {HandoverError} ERR_HANDOVER_OUTBOX_FULL, or why nothing will be sent any more
   */
  place(claimed: () => void, failed: (error: unknown) => void): Place {
    if (this.#ended !== null) throw this.#ended
    if (this.count >= OFFERS_WAITING_MAX) {
      throw new HandoverError('ERR_HANDOVER_OUTBOX_FULL', `${this.count} sends wait for a peer that does not take them`)
    }
    const offer: Offer = {
      number: this.last++,
      state: 'waiting',
      claimed,
      failed,
      packed: null,
      frames: null,
      bytes: 0,
      descriptors: new Int32Array(0),
      held: false,
      withdrawn: undefined,
      endGrace: null,
      sent: false,
      releasing: false,
    }
    this.#waiting.push(offer)
    return {
      fill: (packed, message) => {
        if (!(packed instanceof Promise)) return this.#ready(offer, packed, message)
        offer.releasing = true
        packed.then(
          (released) => this.#ready(offer, released, message),
          (error) => this.#failed(offer, error),
        )
      },
      withdraw: (reason) => this.#withdraw(offer, reason),
      failed: (error) => this.#failed(offer, error),
    }
  }

  /** Its things stay where they are; or too late, when it has ended meanwhile. */
  #failed(offer: Offer, error: unknown): void {
    offer.releasing = false
    if (offer.state === 'ended') offer.failed(offer.withdrawn)
    else this.#end(offer, error ?? new Error('no reason was given'))
  }

  /** Its things are released; or too late, when it has ended meanwhile. */
  #ready(offer: Offer, packed: Packed, message: unknown): void {
    offer.releasing = false
    if (offer.state !== 'waiting') {
      packed.settle(false)
      return offer.failed(offer.withdrawn)
    }
    offer.packed = packed
    if (this.#passedOn) this.#overtake(offer)
    try {
      const { things, bytes, descriptors } = packed
      offer.frames = encodeOffer(offer.number, { message, things }, bytes, descriptors.length)
      offer.bytes = offer.frames.last.length + offer.frames.parts.reduce((sum, { length }) => sum + length, 0)
      offer.descriptors = Int32Array.from(descriptors)
      this.pump()
      if (this.#isWaiting(offer)) this.#hold(offer)
    } catch (error) {
      this.#end(offer, error)
    }
  }

  /** Behind those that are ready, before those that are not: the peer wants numbers that rise. */
  #overtake(offer: Offer): void {
    offer.number = this.last++
    this.#waiting.splice(this.#waiting.indexOf(offer), 1)
    const unready = this.#waiting.findIndex(({ packed }) => packed === null)
    this.#waiting.splice(unready < 0 ? this.#waiting.length : unready, 0, offer)
  }

  /** Asked anew where a call may have changed it. */
  #isWaiting(offer: Offer): boolean {
    return offer.state === 'waiting'
  }

  #isEnded(offer: Offer): boolean {
    return offer.state === 'ended'
  }

  /** Whoever owns the descriptors may close them from now on. */
  #hold(offer: Offer): void {
    if (offer.held) return
    const copies: number[] = []
    try {
      for (const descriptor of offer.descriptors) copies.push(dup(descriptor))
    } catch (error) {
      closeMany(Int32Array.from(copies))
      throw error
    }
    closedWithThread.addAll(Int32Array.from(copies))
    offer.descriptors = Int32Array.from(copies)
    offer.held = true
  }

  #drop(offer: Offer): void {
    if (!offer.held) return
    offer.held = false
    closedWithThread.close(offer.descriptors)
  }

  /** Gives the link what the window has room for; never more than one that the kernel does not take at once. */
  pump(): void {
    for (;;) {
      // What is counted and not told yet keeps the link from being idle: an offer does not wait for its delay.
      if (this.#waiting.length > 0 && this.#link?.idle === false) this.#link.flush()
      const offer = this.#waiting[0]
      const link = this.#link
      if (offer?.frames == null || link === null || !link.idle || !this.#hasRoom(offer)) return
      this.#waiting.shift()
      offer.state = 'with the peer'
      this.#unanswered.set(offer.number, offer)
      this.#descriptors += offer.descriptors.length
      this.#bytes += offer.bytes
      link.offer(offer.frames.parts, offer.frames.last, offer.descriptors, () => {
        offer.sent = true
        this.#drop(offer)
      })
      offer.frames = null
      if (!offer.sent && !this.#isEnded(offer)) this.#holdUnsent(offer)
    }
  }

  /** The kernel had no room: the frame in the queue gets duplicates in place. */
  #holdUnsent(offer: Offer): void {
    const row = offer.descriptors
    try {
      this.#hold(offer)
    } catch {
      return // no descriptors are left: then its owner must leave it open, as a Parcel promises
    }
    row.set(offer.descriptors)
    offer.descriptors = row
  }

  #hasRoom(offer: Offer): boolean {
    if (this.#unanswered.size === 0) return true
    const { offers, descriptors, bytes } = this.#window
    return (
      this.#unanswered.size < offers &&
      this.#descriptors + offer.descriptors.length <= descriptors &&
      this.#bytes + offer.bytes <= bytes
    )
  }

  /** @throws {HandoverError} ERR_HANDOVER_BAD_FRAME: it was never asked */
  answered({ number, outcome, reason }: Verdict): void {
    const offer = this.#unanswered.get(number)
    if (!offer?.sent) throw badFrame(`an answer to offer ${number}, which is not open`)
    if (outcome === Outcome.claimed) this.#end(offer, null)
    else if (offer.withdrawn !== undefined) this.#end(offer, offer.withdrawn)
    else this.#end(offer, notClaimed(outcome, reason))
    this.pump()
  }

  #withdraw(offer: Offer, reason: unknown): void {
    if (offer.state === 'waiting') return this.#end(offer, reason)
    if (offer.state === 'ended' || offer.withdrawn !== undefined) return
    offer.withdrawn = reason
    offer.endGrace = whenHeard(WITHDRAWAL_ANSWER_MAX, () => this.#cut())
    this.#link?.tell(encodeWithdrawal(offer.number))
  }

  /**
   * The link is gone, after all it said was heard: what it has is not claimed. Where it passes offers on nobody can tell,
   * and one owner at most is what is kept: ours goes, in silence.
   */
  lost(error: HandoverError): void {
    this.#link = null
    for (const offer of [...this.#unanswered.values()]) {
      const inDoubt = this.#passedOn && offer.sent
      this.#end(offer, inDoubt ? error : (offer.withdrawn ?? error), inDoubt)
    }
  }

  /** Nothing will ever be sent: what waits ends too, and whatever is offered later. */
  end(error: Error): void {
    this.#ended = error
    for (const offer of this.#waiting.splice(0)) this.#end(offer, error)
  }

  /** The one exit of an offer. @param gone  its things are not ours any more */
  #end(offer: Offer, error: unknown, gone = error === null): void {
    if (offer.state === 'ended') return
    offer.state = 'ended'
    if (this.#unanswered.delete(offer.number)) {
      this.#descriptors -= offer.descriptors.length
      this.#bytes -= offer.bytes
    } else {
      const index = this.#waiting.indexOf(offer)
      if (index >= 0) this.#waiting.splice(index, 1)
    }
    offer.endGrace?.()
    this.#drop(offer)
    offer.packed?.settle(gone)
    if (offer.releasing) offer.withdrawn = error
    else if (error === null) offer.claimed()
    else offer.failed(error)
    this.pump()
  }
}

function notClaimed(outcome: Outcome, reason: string): HandoverError {
  if (outcome === Outcome.refused) return new HandoverError('ERR_HANDOVER_REFUSED', `the peer refused: ${reason}`)
  const why = reason || 'it closed the channel'
  return new HandoverError('ERR_HANDOVER_RETURNED', `the peer gave it back: ${why}`)
}
