import { HandoverError } from '../errors.js'
import { guarded } from '../guarded.js'
import { closeMany } from '../syscalls/descriptor.js'
import * as closedWithThread from '../syscalls/thread-end.js'
import { badFrame } from '../wire/frame.js'
import { WINDOW } from '../wire/hello.js'
import { type DecodedOffer, encodeVerdict, Outcome } from '../wire/offer.js'
import type { Link } from './link.js'
import type { OfferView, Willing } from './options.js'
import { objection, preparation } from './unpacking.js'

interface Received {
  readonly offer: DecodedOffer
  readonly descriptors: Int32Array
  /** Its things can be made at once. */
  ready: boolean
}

/** Somebody who waits for an offer. */
interface Taker {
  /** Gives the descriptors, once the kernel has the claim. */
  given(offer: DecodedOffer, descriptors: Int32Array): void
  /** There will be no more. */
  ended(): void
}

const NONE = new Int32Array(0)

/**
 * Offers of the peer, in order, until the program takes them.
 *
 * Invariant: an offer is claimed when it is taken, and given out only after the kernel has the claim; until then it is
 * the peer's, who may have it back, and gets it back when this side ends. There are never more than the window says.
 */
export class OffersReceived {
  #queue: Received[] = []
  readonly #takers: Taker[] = []
  /** Claimed, and not with the kernel yet. */
  #claiming: [Received, Taker] | null = null
  #descriptors = 0
  #bytes = 0
  #last = -1
  #link: Link | null = null
  readonly #willing: Willing | undefined
  readonly #onRefused: (error: HandoverError) => void

  constructor(willing: Willing | undefined, onRefused: (error: HandoverError) => void) {
    this.#willing = willing
    this.#onRefused = onRefused
  }

  /** Offers come over this link from now on. Borrows it. */
  open(link: Link): void {
    this.#link = link
    this.#last = -1
  }

  get count(): number {
    return this.#queue.length
  }

  /** Whether one is claimed, and the kernel has not the claim yet. */
  get isClaiming(): boolean {
    return this.#claiming !== null
  }

  /** Takes the descriptors. @throws {HandoverError} ERR_HANDOVER_BAD_FRAME: more than was agreed */
  offered(offer: DecodedOffer, descriptors: Int32Array | null): void {
    let error: HandoverError | null
    try {
      error = this.#objection(offer, descriptors)
    } catch (broken) {
      closeMany(descriptors ?? NONE)
      throw broken
    }
    if (this.#link === null) return closeMany(descriptors ?? NONE) // the program closed the channel meanwhile
    if (error === null) {
      this.#add(offer, descriptors ?? NONE)
      return this.pump()
    }
    closeMany(descriptors ?? NONE)
    this.#answer(offer, Outcome.refused, error.message)
    this.#onRefused(error)
  }

  #add(offer: DecodedOffer, descriptors: Int32Array): void {
    const waits = preparation(offer)
    const received = { offer, descriptors, ready: waits === null }
    closedWithThread.addAll(descriptors)
    this.#queue.push(received)
    this.#count(1, offer, descriptors)
    waits?.then(
      () => {
        received.ready = true
        this.pump()
      },
      (error: Error) => this.#giveBackAs(received, Outcome.refused, error.message),
    )
  }

  #objection(offer: DecodedOffer, descriptors: Int32Array | null): HandoverError | null {
    const { number, head } = offer
    if (number <= this.#last) throw badFrame(`offer ${number} behind offer ${this.#last}`)
    this.#last = number
    if (descriptors === null) {
      return new HandoverError('ERR_HANDOVER_REFUSED', 'no room for its descriptors: this process is at its limit')
    }
    const { offers, descriptors: most, bytes } = WINDOW
    const more = this.#descriptors + descriptors.length > most || this.#bytes + offer.size > bytes
    if (this.#queue.length >= offers || (more && this.#queue.length > 0))
      throw badFrame(`offer ${number} is more than the window has room for`)
    const answer = this.#answerOf({ message: head.message, kinds: head.things.map(({ kind }) => kind) })
    if (answer !== true) {
      return new HandoverError(
        'ERR_HANDOVER_REFUSED',
        typeof answer === 'string' ? answer : 'the program does not want it',
      )
    }
    return objection(offer, descriptors)
  }

  #answerOf(view: OfferView): boolean | string {
    let answer: boolean | string = 'the program failed to decide'
    guarded(() => {
      answer = this.#willing?.(view) ?? true
    })
    return answer
  }

  /** The peer would have an offer back: it gets it, unless it was claimed. */
  withdrawn(number: number): void {
    const received = this.#queue.find(({ offer }) => offer.number === number)
    if (received !== undefined) this.#giveBackAs(received, Outcome.returned, 'as asked')
  }

  /** Takes the next offer, now or when one comes. @returns what takes the wish back, if it is not too late */
  take(taker: Taker): () => boolean {
    this.#takers.push(taker)
    this.pump()
    return () => {
      const index = this.#takers.indexOf(taker)
      if (index >= 0) this.#takers.splice(index, 1)
      return index >= 0
    }
  }

  /** Claims as long as somebody waits; what is claimed is given out as soon as the kernel has the claim. */
  pump(): void {
    for (;;) {
      if (this.#claiming !== null) {
        if (this.#link === null || !this.#link.idle) return
        const [{ offer, descriptors }, taker] = this.#claiming
        this.#claiming = null
        closedWithThread.removeAll(descriptors)
        taker.given(offer, descriptors)
      }
      if (this.#takers.length === 0 || !this.#queue[0]?.ready || this.#claiming !== null || this.#link === null) return
      const next = this.#queue.shift() as Received
      this.#count(-1, next.offer, next.descriptors)
      this.#claiming = [next, this.#takers.shift() as Taker]
      this.#answer(next.offer, Outcome.claimed)
    }
  }

  #count(sign: 1 | -1, offer: DecodedOffer, descriptors: Int32Array): void {
    this.#descriptors += sign * descriptors.length
    this.#bytes += sign * offer.size
  }

  #answer({ number }: DecodedOffer, outcome: Outcome, reason?: string): void {
    this.#link?.tell(encodeVerdict(number, outcome, reason))
  }

  /** If it is still here. */
  #giveBackAs(received: Received, outcome: Outcome, reason: string): void {
    const index = this.#queue.indexOf(received)
    if (index < 0) return
    const { offer, descriptors } = received
    this.#queue.splice(index, 1)
    this.#count(-1, offer, descriptors)
    closedWithThread.close(descriptors)
    this.#answer(offer, outcome, reason)
  }

  /** This side takes no more: what it has not taken goes back. */
  returnAll(): void {
    for (const received of [...this.#queue]) this.#giveBackAs(received, Outcome.returned, 'the channel was closed')
  }

  /** The link is gone: what was not claimed is still the peer's; whoever waited for a claim waits for the next offer. */
  lost(): void {
    this.#link = null
    for (const { descriptors } of this.#queue.splice(0)) closedWithThread.close(descriptors)
    this.#descriptors = 0
    this.#bytes = 0
    if (this.#claiming === null) return
    const [{ descriptors }, taker] = this.#claiming
    this.#claiming = null
    closedWithThread.close(descriptors)
    this.#takers.unshift(taker)
  }

  /** There will never be another link. */
  end(): void {
    for (const taker of this.#takers.splice(0)) taker.ended()
  }
}
