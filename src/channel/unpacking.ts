import { printable } from '../arguments.js'
import { HandoverError } from '../errors.js'
import { closeMany } from '../syscalls/descriptor.js'
import { identify, sameIdentity } from '../syscalls/identity.js'
import type { DecodedOffer } from '../wire/offer.js'
import { type Arrived, kindNamed, prepare, type ThingKind } from './kinds.js'
import type { Delivery } from './options.js'

/**
 * Why an offer cannot be taken: nobody knows a kind of its things, a descriptor is not the one that was announced, or a
 * kind objects.
 * Borrows the descriptors.
 * @returns null if it can
 */
export function objection(offer: DecodedOffer, descriptors: Int32Array): HandoverError | null {
  let at = 0
  for (const { kind, ids } of offer.head.things) {
    if (kindNamed(kind) === undefined) {
      return new HandoverError('ERR_HANDOVER_UNSUPPORTED', `no kind "${printable(kind)}" is registered here`)
    }
    for (const id of ids) {
      const found = identify(descriptors[at++] as number)
      if (sameIdentity(id, found)) continue
      const announced = printable(id)
      return new HandoverError('ERR_HANDOVER_IDENTITY', `${kind}: announced was "${announced}", "${found}" came`)
    }
  }
  for (const [index, thing] of partsOf(offer, descriptors).entries()) {
    const why = objectionOf(thing)
    if (why !== null) return new HandoverError('ERR_HANDOVER_REFUSED', printable(`things[${index}]: ${why}`))
  }
  return null
}

function objectionOf({ kind, arrived }: Part): string | null {
  try {
    return kind.objection?.(arrived) ?? null
  } catch (error) {
    return (error as Error).message
  }
}

/** What must be waited for before the things of an offer can be made at once; null: nothing. */
export function preparation({ head }: DecodedOffer): Promise<unknown> | null {
  const waits = head.things.map(({ kind }) => prepare(kindNamed(kind) as ThingKind))
  return waits.every((wait) => wait === true) ? null : Promise.all(waits)
}

interface Part {
  readonly kind: ThingKind
  readonly arrived: Arrived
}

/** Looked at before the claim, and used after it. */
const known = new WeakMap<DecodedOffer, Part[]>()
const NOTHING = Buffer.alloc(0)

/** What belongs to each thing. Borrows the descriptors. */
function partsOf(offer: DecodedOffer, descriptors: Int32Array): Part[] {
  const parts = known.get(offer)
  if (parts !== undefined) return parts
  const { head, bytes } = offer
  let at = 0
  let read = 0
  const made = head.things.map(({ kind, ids, details, bytes: count = 0 }): Part => {
    const own = ids.map(() => descriptors[at++] as number)
    const unread = count === 0 ? NOTHING : bytes.subarray(read, read + count)
    read += count
    return { kind: kindNamed(kind) as ThingKind, arrived: { descriptors: own, ids, details, bytes: unread } }
  })
  known.set(offer, made)
  return made
}

/**
 * Makes things of what arrived. Takes the descriptors: if one thing cannot be made, all are closed.
 * @throws whatever the kind has to say
 */
export function unpack(offer: DecodedOffer, descriptors: Int32Array): Delivery | Promise<Delivery> {
  const { message } = offer.head
  const things = thingsOf(offer, descriptors)
  return things instanceof Promise ? things.then((made) => ({ message, things: made })) : { message, things }
}

function thingsOf(offer: DecodedOffer, descriptors: Int32Array): unknown[] | Promise<unknown[]> {
  const made: unknown[] = []
  const parts = partsOf(offer, descriptors)
  let left = 0
  const unpackFrom = (first: number): unknown[] | Promise<unknown[]> => {
    for (let index = first; index < parts.length; index++) {
      const { kind, arrived } = parts[index] as Part
      left = index + 1
      const thing = kind.adopt(arrived)
      if (thing instanceof Promise) {
        return thing.then((adopted) => {
          made.push(adopted)
          return unpackFrom(index + 1)
        })
      }
      made.push(thing)
    }
    return made
  }
  const undo = (error: unknown): never => {
    for (const { arrived } of parts.slice(left)) closeMany(Int32Array.from(arrived.descriptors))
    for (const thing of made) discard(thing)
    throw error
  }
  try {
    const all = unpackFrom(0)
    return all instanceof Promise ? all.catch(undo) : all
  } catch (error) {
    return undo(error)
  }
}

/** Ends a thing that nobody will get, whatever it is: sockets are destroyed, all else is closed. */
export function discard(thing: unknown): void {
  const { destroy, close } = (thing ?? {}) as { destroy?: () => unknown; close?: () => unknown }
  const ended = (destroy ?? close)?.call(thing)
  if (ended instanceof Promise) ended.catch(() => {}) // it is the first failure that is told
}
