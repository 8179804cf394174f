import { resolve } from 'node:path'
import type { Parcel, ThingKind } from '../channel/kinds.js'
import { detailsOf, first, isListening, notWhatWasSaid, taking } from './arrived.js'
import { copiesOf } from './copies.js'
import { ListeningPort } from './listening-port.js'
import { assertHere, markOut, notMovable } from './movable.js'
import { isAbstract, isBoundTo } from './socket-path.js'

/** Listening ports, with every client that waits at them. They go on accepting here until the other side has them. */
export const portKind: ThingKind<ListeningPort> = {
  name: 'port',

  is: (thing) => thing instanceof ListeningPort,

  release(port) {
    const { claimed, ...parcel } = share(port)
    markOut(port, true)
    return {
      ...parcel,
      claimed() {
        markOut(port, false)
        claimed()
        port.abandon() // the path is the other's
      },
      restored() {
        markOut(port, false)
        parcel.restored()
      },
    }
  },

  share,

  objection: ({ descriptors }) => objectionToPort(descriptors),

  adopt: ({ descriptors, details }) => adoptPort(descriptors, details, 'port'),
}

function share(port: ListeningPort): Parcel {
  assertHere(port)
  if (port.fd < 0) throw notMovable('the port is closed, or was given to a server')
  const copies = copiesOf(...port.descriptors)
  return {
    descriptors: copies.descriptors,
    details: pathDetails(port.path),
    claimed: copies.close,
    restored() {
      copies.close()
      port.removePath() // it could not while our copy was open
    },
  }
}

/** Details of a port: nothing, or the path that its last owner removes. */
export function pathDetails(path: string | null): { path?: string } {
  if (path === null) return {}
  return { path: isAbstract(path) ? path : resolve(path) } // the other side may work in another folder
}

/**
 * The path in the details of a port, if its descriptor is bound there: whoever sends us a port could have us remove any
 * other socket by its name. Anything else is none. Borrows the descriptor.
 */
export function pathIn(details: unknown, descriptor: number): string | null {
  const { path } = detailsOf(details)
  return typeof path === 'string' && isBoundTo(descriptor, path) ? path : null
}

/** Why no port can be made of descriptors that arrived; null if one can. Borrows them. */
export function objectionToPort(descriptors: readonly number[]): string | null {
  if (descriptors.length === 0) return 'a port came without its descriptor'
  return descriptors.every(isListening) ? null : 'a descriptor that came does not listen'
}

/** Makes a port of what arrived: the first descriptor, and others that clients may still wait at. Takes them. */
export function adoptPort(descriptors: readonly number[], details: unknown, what: string): ListeningPort {
  return taking(descriptors, (left) => {
    first(left)
    if (!left.every(isListening)) throw notWhatWasSaid(what)
    const path = pathIn(details, left[0] as number)
    const port = ListeningPort.adopt(left.shift() as number, path === null ? {} : { path })
    port.addRetired(left.splice(0))
    return port
  })
}
