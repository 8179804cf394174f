import { HandoverError } from '../errors.js'
import { close } from '../syscalls/descriptor.js'
import { identify, sameIdentity } from '../syscalls/identity.js'
import type { AnnouncedThing, DecodedOffer } from '../wire/offer.js'
import { kindNamed } from './kinds.js'
import type { Delivery } from './options.js'

/**
 * Why an offer cannot be taken: nobody knows a kind of its things, or a descriptor is not the one that was announced.
 * Borrows the descriptors.
 * @returns null if it can
 */
export function objection({ head }: DecodedOffer, descriptors: Int32Array): HandoverError | null {
  let at = 0
  for (const { kind, ids } of head.things) {
    if (kindNamed(kind) === undefined) {
      return new HandoverError('ERR_HANDOVER_UNSUPPORTED', `no kind "${kind}" is registered here`)
    }
    for (const id of ids) {
      const found = identify(descriptors[at++] as number)
      if (sameIdentity(id, found)) continue
      return new HandoverError('ERR_HANDOVER_IDENTITY', `${kind}: announced was "${id}", "${found}" came`)
    }
  }
  return null
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

function thingsOf({ head, bytes }: DecodedOffer, descriptors: Int32Array): unknown[] | Promise<unknown[]> {
  const made: unknown[] = []
  let at = 0
  let read = 0
  const unpackFrom = (first: number): unknown[] | Promise<unknown[]> => {
    for (let index = first; index < head.things.length; index++) {
      const { kind, ids, details, bytes: count = 0 } = head.things[index] as AnnouncedThing
      const own = [...descriptors.subarray(at, at + ids.length)]
      at += ids.length
      read += count
      const thing = kindNamed(kind)?.adopt({ descriptors: own, details, bytes: bytes.subarray(read - count, read) })
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
    for (const descriptor of descriptors.subarray(at)) close(descriptor)
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
