import type net from 'node:net'
import { takesNothing, warnRefused } from '../channel/endings.js'
import type { LinkHandlers } from '../channel/handlers.js'
import type { Link } from '../channel/link.js'
import { OffersReceived } from '../channel/offers-received.js'
import { OffersSent } from '../channel/offers-sent.js'
import type { OfferView, SendOptions } from '../channel/options.js'
import { sendPacked } from '../channel/send-over.js'
import { HandoverError } from '../errors.js'
import { guarded } from '../guarded.js'
import { onSocketClosed } from '../runtime/node-sockets.js'
import * as closedWithThread from '../syscalls/thread-end.js'
import type { packing } from '../transport/hand-over.js'
import { unpackConnection, withoutState } from '../transport/hand-over.js'
import { asHandOver, type HandOverMessage } from '../wire/control.js'
import type { DecodedOffer } from '../wire/offer.js'

/** A connection of another worker's, and what came with it. Gives the socket. */
export type Taken = (socket: net.Socket, state: unknown) => void

/** What hand-overs need of the worker. */
export interface HandOverOwner {
  /** It takes nothing new. */
  readonly draining: boolean
  /** Why no server of these ports takes another connection; null: one does. */
  objection(ports: readonly number[]): string | null
  /** What serves connections of one of these ports as if they had just come; undefined: nobody here. */
  serverOf(ports: readonly number[]): ((socket: net.Socket) => void) | undefined
  /** A connection is this worker's from now on. */
  adopted(): void
  /** One of those is closed. */
  finished(): void
  /** The names that are taken have changed. */
  takes(names: readonly string[]): void
  /** One more is on its way to another worker. */
  given(): void
  /** One less is. */
  settled(): void
}

const NONE = new Int32Array(0)

/** Connections on their way to other workers and from them, by way of the master. */
export class HandOvers {
  readonly #owner: HandOverOwner
  // A master that does not answer is waited for: whoever has the connection, there is but one.
  readonly #sent = new OffersSent(() => {}, true)
  readonly #received: OffersReceived
  readonly #handlers = new Map<string, Taken>()
  readonly #states = new WeakMap<DecodedOffer, unknown>()
  /** What came and is looked at in the next turn. */
  #arrived: [DecodedOffer, Int32Array | null][] = []

  constructor(owner: HandOverOwner) {
    this.#owner = owner
    this.#received = new OffersReceived(
      (view) => this.#willing(view),
      (error) => {
        if (error.code !== 'ERR_HANDOVER_REFUSED') warnRefused(error, null)
      },
    )
    this.#takeNext()
  }

  /** How many are on their way to others. */
  get pending(): number {
    return this.#sent.count
  }

  /** What connections are taken as here. */
  get names(): string[] {
    return [...this.#handlers.keys()]
  }

  /** Registers what takes connections of a name. @throws {TypeError} another does */
  take(as: string, taken: Taken): () => void {
    if (this.#handlers.has(as)) throw new TypeError(`as: ${JSON.stringify(as)} has a handler already; end that first`)
    this.#handlers.set(as, taken)
    this.#owner.takes(this.names)
    return () => {
      if (this.#handlers.get(as) !== taken) return
      this.#handlers.delete(as)
      this.#owner.takes(this.names)
    }
  }

  /** Offers a connection to the master. Settles as `handOver` does. */
  give(message: HandOverMessage, pack: ReturnType<typeof packing>, options: SendOptions): Promise<void> {
    const given = sendPacked(this.#sent, message, pack, options)
    this.#owner.given()
    const settled = (): void => this.#owner.settled()
    given.then(settled, settled)
    return given
  }

  /** What a link tells of offers. */
  handlers(link: () => Link): LinkHandlers {
    return {
      opened: ({ capabilities, window }) => {
        if (!capabilities.includes('offers') || window === undefined) this.#sent.end(takesNothing())
        else this.#sent.open(link(), window)
        this.#received.open(link())
      },
      offered: (offer, descriptors) => this.#later(offer, descriptors),
      answered: (verdict) => this.#sent.answered(verdict),
      withdrawn: (number) => this.#received.withdrawn(number),
      drained: () => {
        if (this.#received.isClaiming) setImmediate(() => this.#received.pump()) // as in #later
        this.#sent.pump()
      },
    }
  }

  /** The master is gone. */
  lost(): void {
    for (const [, descriptors] of this.#arrived.splice(0)) closedWithThread.close(descriptors ?? NONE)
    this.#received.lost()
    this.#received.end()
    this.#sent.lost(closedInDoubt())
    this.#sent.end(withoutMaster())
  }

  /**
   * Takes the descriptors. The link is being read, maybe by a call that waits for the master's answer, and code of the
   * program's may make such a call: it runs when that is over. No more come than the window has room for.
   */
  #later(offer: DecodedOffer, descriptors: Int32Array | null): void {
    closedWithThread.addAll(descriptors ?? NONE)
    this.#arrived.push([offer, descriptors])
    if (this.#arrived.length > 1) return
    setImmediate(() => {
      for (const [arrived, own] of this.#arrived.splice(0)) {
        closedWithThread.removeAll(own ?? NONE)
        guarded(() => this.#offered(arrived, own))
      }
    })
  }

  #offered(offer: DecodedOffer, descriptors: Int32Array | null): void {
    let bare: DecodedOffer = offer
    try {
      const { offer: connection, state } = withoutState(offer)
      bare = connection
      this.#states.set(bare, state)
    } catch {
      // It has a thing without descriptors, which is of no kind that is known here: refused below.
    }
    this.#received.offered(bare, descriptors)
  }

  /** Somebody always waits for the next: one that is claimed may have to wait for room on the link. */
  #takeNext(): void {
    this.#received.take({
      given: (claimed, descriptors) => {
        this.#given(claimed, descriptors)
        this.#takeNext()
      },
      ended: () => {},
    })
  }

  #willing({ message, kinds }: OfferView): boolean | string {
    const wanted = asHandOver(message)
    if (wanted === null || kinds.length !== 1 || kinds[0] !== 'connection') return 'it is no connection of a worker'
    if (this.#owner.draining) return 'it is being drained'
    const { as, ports = [] } = wanted
    if (as === undefined) return this.#owner.objection(ports) ?? true
    return this.#handlers.has(as) || `it does not take ${JSON.stringify(as)}`
  }

  /** The kernel has the claim. */
  #given(offer: DecodedOffer, descriptors: Int32Array): void {
    this.#owner.adopted()
    let socket: net.Socket
    try {
      socket = unpackConnection(offer, descriptors)
    } catch (error) {
      this.#owner.finished()
      process.emitWarning(`handover: a connection could not be adopted and was closed (${(error as Error).message})`)
      return
    }
    onSocketClosed(socket, () => this.#owner.finished())
    const { as, ports = [] } = offer.head.message as HandOverMessage
    const taken = as === undefined ? this.#owner.serverOf(ports) : this.#handlers.get(as)
    if (taken === undefined) return void socket.destroy() // it was ended between claim and delivery, within one turn
    guarded(() => taken(socket, this.#states.get(offer)))
  }
}

function closedInDoubt(): HandoverError {
  return new HandoverError(
    'ERR_HANDOVER_PEER_GONE',
    'the master ended, and whether another worker has the connection cannot be known: it was closed here',
  )
}

export function withoutMaster(): HandoverError {
  return new HandoverError('ERR_HANDOVER_CLOSED', 'there is no master to hand it over through: it stays here')
}
