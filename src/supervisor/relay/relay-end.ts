import { takesNothing } from '../../channel/endings.js'
import type { LinkHandlers } from '../../channel/handlers.js'
import type { Link } from '../../channel/link.js'
import { OffersSent } from '../../channel/offers-sent.js'
import type { Packed } from '../../channel/packing.js'
import { HandoverError } from '../../errors.js'
import * as closedWithThread from '../../syscalls/thread-end.js'
import { asHandOver, type FromWorker, type HandOverMessage } from '../../wire/control.js'
import { badFrame } from '../../wire/frame.js'
import { type Hello, WINDOW } from '../../wire/hello.js'
import { type DecodedOffer, encodeVerdict, Outcome } from '../../wire/offer.js'
import type { ChannelTarget } from '../workers/channel-target.js'

/** What is to be handed on, whoever had it. */
export interface Relayed {
  readonly message: HandOverMessage
  readonly things: Packed['things']
  readonly bytes: Packed['bytes']
  /** Open until it is settled. */
  readonly descriptors: readonly number[]
  /** Whose it was; null: the master's own. */
  readonly from: RelayEnd | null
  /** Who refused it. */
  readonly tried: Set<RelayEnd>
  /** The last of them, and what was said. */
  why: string
  /** Its owner would have it back. */
  withdrawn: boolean
  /** Asks whoever is being offered it to give it back. */
  recall: ((reason: Error) => void) | null
  /** Called once: somebody has it, or nobody. */
  settle(outcome: Outcome, reason: string): void
}

/** What an end tells the relay. */
interface RelayEvents {
  /** A worker hands a connection over. */
  offered(relayed: Relayed): void
  /** This worker did not take it. */
  refused(relayed: Relayed): void
}

/** What an end knows when nothing is on its way. JSON. */
export interface RelayState {
  /** The names of connections that the worker takes. */
  readonly takes: readonly string[]
  /** The number of the next offer to the worker. */
  readonly offered: number
  /** That of the last one from it; -1: there was none. */
  readonly received: number
}

const NONE = new Int32Array(0)

/**
 * One worker, as it hands connections over and is handed them. Lives as long as its channel.
 *
 * Invariant: what the worker offered is answered once, after whoever was asked has answered; the descriptors are closed
 * then, and not before.
 */
export class RelayEnd {
  readonly number: number
  /** The supervisor's place for the worker. */
  readonly place: object
  readonly #events: RelayEvents
  readonly #sent = new OffersSent(() => {}) // a worker that does not answer may still claim: it is waited for
  readonly #received = new Map<number, Relayed>()
  #takes: ReadonlySet<string> = new Set()
  #descriptors = 0
  #bytes = 0
  #last = -1
  #link: Link | null = null
  #target: ChannelTarget | null = null

  constructor(number: number, place: object, events: RelayEvents) {
    this.number = number
    this.place = place
    this.#events = events
  }

  /** The worker is started. Borrows both. */
  open(link: Link, target: ChannelTarget): void {
    this.#link = link
    this.#target = target
  }

  get load(): number {
    return this.#target?.load ?? 0
  }

  /** How many it is offered that it has not answered. */
  get pending(): number {
    return this.#sent.count
  }

  get isPrompt(): boolean {
    return this.#target?.isPrompt ?? false
  }

  get id(): string {
    return String(this.number)
  }

  /** The worker's group; null: none. */
  get group(): string | null {
    return this.#target?.group ?? null
  }

  /** @returns whether the message was for this end */
  hears(message: FromWorker): boolean {
    if (message.type !== 'takes') return false
    const { names } = message
    this.#takes = new Set(Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [])
    return true
  }

  /** Whether it has room, and a handler of this name or, without one, listens. */
  canTake(as: string | undefined): boolean {
    const target = this.#target
    if (target === null || target.places <= 0) return false
    return as === undefined ? target.isReady : this.#takes.has(as)
  }

  /** What a successor must know; null: something is on its way. */
  get state(): RelayState | null {
    if (this.#sent.count > 0 || this.#received.size > 0) return null
    return { takes: [...this.#takes], offered: this.#sent.last, received: this.#last }
  }

  /** Goes on where another stopped, over the same link: the hellos are said. */
  resume({ takes, offered, received }: RelayState, peer: Hello): void {
    this.#takes = new Set(takes)
    this.#sent.last = offered
    this.#last = received
    this.handlers.opened?.(peer, null)
  }

  /** Offers it to the worker. */
  offer(relayed: Relayed): void {
    const target = this.#target as ChannelTarget
    relayed.tried.add(this)
    target.reserve()
    const refused = (error: unknown): void => {
      relayed.recall = null
      target.release()
      relayed.why = `worker ${this.number}: ${(error as Error).message}`
      this.#events.refused(relayed)
    }
    const claimed = (): void => {
      relayed.recall = null
      target.handedOver()
      relayed.settle(Outcome.claimed, '')
    }
    try {
      const place = this.#sent.place(claimed, refused)
      relayed.recall = (reason) => place.withdraw(reason)
      const { things, bytes, descriptors } = relayed
      place.fill({ things, bytes, descriptors, settle: () => {} }, relayed.message)
    } catch (error) {
      refused(error)
    }
  }

  /** What its link tells of offers. */
  readonly handlers: LinkHandlers = {
    opened: ({ capabilities, window }) => {
      if (!capabilities.includes('offers') || window === undefined) this.#sent.end(takesNothing())
      else this.#sent.open(this.#link as Link, window)
    },
    offered: (offer, descriptors) => this.#offered(offer, descriptors),
    answered: (verdict) => this.#sent.answered(verdict),
    withdrawn: (number) => this.#withdrawn(number),
    drained: () => this.#sent.pump(),
  }

  /** The worker is gone. What it offered goes on its way; what it was offered goes to others. */
  lost(): void {
    const gone = new HandoverError('ERR_HANDOVER_PEER_GONE', 'it ended before it took the connection')
    this.#sent.lost(gone)
    this.#sent.end(gone)
  }

  /** Takes the descriptors. @throws {HandoverError} ERR_HANDOVER_BAD_FRAME: more than was agreed */
  #offered(offer: DecodedOffer, descriptors: Int32Array | null): void {
    closedWithThread.addAll(descriptors ?? NONE)
    try {
      this.#check(offer, descriptors ?? NONE)
    } catch (error) {
      closedWithThread.close(descriptors ?? NONE)
      throw error
    }
    const message = asHandOver(offer.head.message)
    if (descriptors === null) return this.#refuse(offer, 'the master has no free descriptors')
    if (message === null || descriptors.length !== 1) {
      closedWithThread.close(descriptors)
      return this.#refuse(offer, 'the master relays connections and nothing else')
    }
    const relayed: Relayed = {
      message,
      things: offer.head.things,
      bytes: [offer.bytes],
      descriptors: [...descriptors],
      from: this,
      tried: new Set(),
      why: '',
      withdrawn: false,
      recall: null,
      settle: (outcome, reason) => {
        closedWithThread.close(descriptors)
        this.#count(-1, offer, descriptors)
        this.#received.delete(offer.number)
        this.#link?.tell(encodeVerdict(offer.number, outcome, reason))
      },
    }
    this.#received.set(offer.number, relayed)
    this.#count(1, offer, descriptors)
    this.#events.offered(relayed)
  }

  #check({ number, size }: DecodedOffer, descriptors: Int32Array): void {
    if (number <= this.#last) throw badFrame(`offer ${number} behind offer ${this.#last}`)
    this.#last = number
    const { offers, descriptors: most, bytes } = WINDOW
    const open = this.#received.size
    const more = this.#descriptors + descriptors.length > most || this.#bytes + size > bytes
    if (open >= offers || (more && open > 0)) throw badFrame(`offer ${number} is more than the window has room for`)
  }

  #count(sign: 1 | -1, offer: DecodedOffer, descriptors: Int32Array): void {
    this.#descriptors += sign * descriptors.length
    this.#bytes += sign * offer.size
  }

  #refuse({ number }: DecodedOffer, reason: string): void {
    this.#link?.tell(encodeVerdict(number, Outcome.refused, reason))
  }

  /** Its worker would have it back: it gets it, unless another claims it first. */
  #withdrawn(number: number): void {
    const relayed = this.#received.get(number)
    if (relayed === undefined) return // it is answered
    relayed.withdrawn = true
    relayed.recall?.(new HandoverError('ERR_HANDOVER_RETURNED', 'withdrawn'))
  }
}
