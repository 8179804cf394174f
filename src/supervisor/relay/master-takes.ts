import type net from 'node:net'
import { shown } from '../../arguments.js'
import { objection } from '../../channel/unpacking.js'
import { guarded } from '../../guarded.js'
import { closeMany, dup } from '../../syscalls/descriptor.js'
import { unpackConnection, withoutState } from '../../transport/hand-over.js'
import { type DecodedOffer, Outcome } from '../../wire/offer.js'
import type { Relayed } from './relay-end.js'

type Taken = (socket: net.Socket, state: unknown) => void

/** Connections that workers give back to the master itself, by the names it takes them under. */
export class MasterTakes {
  readonly #handlers = new Map<string, Taken>()

  /**
   * Registers what takes connections of a name.
   * @returns what ends that
   * @throws {TypeError} it is no function, or the name has one
   */
  add(as: string, taken: Taken): () => void {
    if (typeof as !== 'string' || as === '') throw new TypeError(`as: a text, not ${shown(as)}`)
    if (typeof taken !== 'function') throw new TypeError(`taken: a function, not ${shown(taken)}`)
    if (this.#handlers.has(as)) throw new TypeError(`as: ${JSON.stringify(as)} has a handler already; end that first`)
    this.#handlers.set(as, taken)
    return () => {
      if (this.#handlers.get(as) === taken) this.#handlers.delete(as)
    }
  }

  /** Takes a connection, or says why not. The worker that had it is answered first. */
  take(relayed: Relayed): void {
    const { as = '' } = relayed.message
    const taken = this.#handlers.get(as)
    if (taken === undefined) {
      return relayed.settle(Outcome.refused, `the master takes no connection as ${JSON.stringify(as)}`)
    }
    const found = ownCopy(relayed)
    if ('why' in found) return relayed.settle(Outcome.refused, found.why)
    relayed.settle(Outcome.claimed, '')
    try {
      const socket = unpackConnection(found.offer, found.descriptors)
      guarded(() => taken(socket, found.state))
    } catch (error) {
      process.emitWarning(`handover: a connection could not be adopted and was closed (${(error as Error).message})`)
    }
  }
}

/** What was offered, with a descriptor of our own: the relay closes those that came. Gives it. */
function ownCopy(relayed: Relayed): { offer: DecodedOffer; descriptors: Int32Array; state: unknown } | { why: string } {
  let descriptors = new Int32Array(0)
  try {
    descriptors = Int32Array.of(dup(relayed.descriptors[0] as number))
    const { offer, state } = withoutState(offerOf(relayed))
    const why = objection(offer, descriptors)
    if (why === null) return { offer, descriptors, state }
    throw why
  } catch (error) {
    closeMany(descriptors)
    return { why: (error as Error).message }
  }
}

function offerOf({ message, things, bytes }: Relayed): DecodedOffer {
  const whole = Buffer.concat(bytes)
  return { number: 0, head: { message, things }, bytes: whole, size: whole.length }
}
