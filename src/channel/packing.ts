import { shown } from '../arguments.js'
import { HandoverError, SyscallError } from '../errors.js'
import { guarded } from '../guarded.js'
import { DESCRIPTORS_PER_MESSAGE_MAX } from '../limits.js'
import { identify } from '../syscalls/identity.js'
import type { AnnouncedThing } from '../wire/offer.js'
import { kindOf, type Parcel, type ReleaseOptions, type ThingKind } from './kinds.js'

/** A thing of which the receiver gets a copy, and the sender keeps its own. */
export class Shared<Thing = unknown> {
  readonly thing: Thing

  constructor(thing: Thing) {
    this.thing = thing
  }
}

/**
 * Sends a thing and keeps it: both processes have it then. For ports, datagram sockets, files and descriptors; two
 * readers of one connection would take each other's bytes. Borrows the thing.
 * @throws {TypeError} there is no such kind of thing, or it cannot be shared
 */
export function share<Thing>(thing: Thing): Shared<Thing> {
  const kind = kindFor('thing', thing)
  if (kind.share === undefined) {
    throw new TypeError(`thing: a ${kind.name} cannot be shared; send it without share(), or share the port it came to`)
  }
  return new Shared(thing)
}

/** What travels in one offer. Settled once, all of it alike. */
export interface Packed {
  readonly things: readonly AnnouncedThing[]
  readonly bytes: readonly Uint8Array[]
  /** Borrowed until it is settled. */
  readonly descriptors: readonly number[]
  /** The things are the peer's, or they stay ours. */
  settle(claimed: boolean): void
}

/**
 * Takes things out of use. At once if every kind can; what is waited for is output that is still in this process.
 * @param own  how the identity of the socket begins over which they are to travel: it cannot itself
 * @throws {TypeError | RangeError} something is no thing, or they are too many
 * @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE: one cannot leave. All are as before then
 */
export function pack(things: readonly unknown[], options: ReleaseOptions, own: string): Packed | Promise<Packed> {
  if (!Array.isArray(things)) {
    throw new TypeError(`things: a list of things, not ${shown(things)}: write [thing]`)
  }
  const bare = things.map((thing) => (thing instanceof Shared ? thing.thing : thing))
  const kinds = bare.map((thing, index) => kindFor(`things[${index}]`, thing))
  if (bare.length > 1 && new Set(bare).size < bare.length) throw new TypeError('things: one of them is listed twice')
  const parcels: Parcel[] = []
  const undo = (error: unknown): never => {
    for (const parcel of parcels.reverse()) guarded(() => parcel.restored())
    throw error
  }
  const packFrom = (first: number): Packed | Promise<Packed> => {
    for (let index = first; index < kinds.length; index++) {
      const kind = kinds[index] as ThingKind
      const shared = things[index] instanceof Shared
      const parcel = naming(index, () =>
        shared ? (kind.share?.(bare[index]) as Parcel) : kind.release(bare[index], options),
      )
      if (parcel instanceof Promise) {
        return parcel.then((released) => {
          parcels.push(released)
          return packFrom(index + 1)
        })
      }
      parcels.push(parcel)
    }
    return packed(kinds, parcels, own)
  }
  try {
    const made = packFrom(0)
    return made instanceof Promise ? made.catch(undo) : made
  } catch (error) {
    return undo(error)
  }
}

/** A system error does not know which thing it is about. */
function naming<Made>(index: number, make: () => Made): Made {
  try {
    return make()
  } catch (error) {
    if (error instanceof SyscallError) error.message = `things[${index}]: ${error.message}`
    throw error
  }
}

function kindFor(name: string, thing: unknown): ThingKind {
  const kind = kindOf(thing)
  if (kind !== undefined) return kind
  throw new TypeError(
    `${name}: a socket, server, port, FileHandle, Descriptor or descriptor number (or a kind of your own), not ${shown(thing)}`,
  )
}

function packed(kinds: readonly ThingKind[], parcels: readonly Parcel[], own: string): Packed {
  const descriptors = parcels.flatMap((parcel) => parcel.descriptors)
  if (descriptors.length > DESCRIPTORS_PER_MESSAGE_MAX) {
    throw new RangeError(
      `things: at most ${DESCRIPTORS_PER_MESSAGE_MAX} descriptors in one send, not ${descriptors.length}; send several`,
    )
  }
  return {
    things: parcels.map((parcel, index) => announced(kinds[index] as ThingKind, parcel, own)),
    bytes: parcels.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes])),
    descriptors,
    settle: (claimed) => {
      for (const parcel of parcels) guarded(() => (claimed ? parcel.claimed() : parcel.restored()))
    },
  }
}

function announced(kind: ThingKind, parcel: Parcel, own: string): AnnouncedThing {
  const { descriptors, details, bytes } = parcel
  const ids = descriptors.map((descriptor) => identify(descriptor))
  if (ids.some((id) => id.startsWith(own))) {
    throw new HandoverError(
      'ERR_HANDOVER_NOT_MOVABLE',
      "the channel's own socket cannot travel over it: let the other process connect by an address of its own",
    )
  }
  return {
    kind: kind.name,
    ids,
    ...(details === undefined ? {} : { details }),
    ...(bytes === undefined || bytes.length === 0 ? {} : { bytes: bytes.length }),
  }
}
