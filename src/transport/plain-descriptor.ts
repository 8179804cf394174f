import type { Parcel, ThingKind } from '../channel/kinds.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import { close, sameFile } from '../syscalls/descriptor.js'
import { first, notWhatWasSaid, taking } from './arrived.js'
import { copiesOf } from './copies.js'
import { assertHere, markOut, notMovable } from './movable.js'

/**
 * Anything that has a descriptor: an eventfd, a pidfd, a folder, a datagram socket of UNIX. A `Descriptor`, or a plain
 * number, arrives as a `Descriptor`. A number is taken when the other side has it, and not before.
 */
export const descriptorKind: ThingKind<Descriptor | number> = {
  name: 'descriptor',

  is: (thing) => thing instanceof Descriptor || typeof thing === 'number',

  release(thing) {
    const parcel = share(thing)
    const [copy] = parcel.descriptors as [number]
    const object = typeof thing === 'number' ? null : thing
    if (object !== null) markOut(object, true)
    const settle = (): void => {
      if (object !== null) markOut(object, false)
      parcel.restored()
    }
    return {
      ...parcel,
      claimed() {
        if (object !== null) object.close()
        else closeIfSame(thing as number, copy)
        settle()
      },
      restored: settle,
    }
  },

  share,

  objection: ({ descriptors: { length } }) => (length === 1 ? null : `a descriptor is one, not ${length}`),

  adopt: ({ descriptors }) =>
    taking(descriptors, (left) => {
      first(left)
      if (left.length > 1) throw notWhatWasSaid('single descriptor')
      return new Descriptor(left.shift() as number)
    }),
}

/** Its owner may close it meanwhile: what travels is a copy. */
function share(thing: Descriptor | number): Parcel {
  const fd = typeof thing === 'number' ? thing : thing.fd
  if (typeof thing !== 'number') assertHere(thing)
  if (!Number.isInteger(fd) || fd < 0) throw notMovable('the descriptor is closed, or never was one')
  const copies = copiesOf(fd)
  return { descriptors: copies.descriptors, claimed: copies.close, restored: copies.close }
}

/** Closes a number, unless its owner has closed it meanwhile and it leads somewhere else by now. */
function closeIfSame(fd: number, copy: number): void {
  try {
    if (sameFile(fd, copy)) close(fd)
  } catch {
    // it is closed already
  }
}
