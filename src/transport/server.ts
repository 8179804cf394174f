import net from 'node:net'
import type { Parcel, ThingKind } from '../channel/kinds.js'
import { closePort, descriptorOfServer } from '../runtime/node-servers.js'
import { closeMany } from '../syscalls/descriptor.js'
import { detailsOf, familyOf, first, isListening, notUnderstood, notWhatWasSaid, taking } from './arrived.js'
import { copiesOf } from './copies.js'
import type { ListeningPort } from './listening-port.js'
import { assertHere, markOut, notMovable } from './movable.js'
import { adoptPort, objectionToPort, pathDetails, pathIn } from './port.js'
import { lookAfterPath, ownPath, serveOn } from './server-port.js'

/** What a server arrives as: the same class, or its port alone where certificates and sessions would have to come too. */
type Class = 'net' | 'http' | 'port'

/**
 * Servers that listen. They arrive listening, without listeners of events or options of HTTP: who adopts one brings
 * its own. They go on accepting here until the other side has them; connections that were accepted stay.
 */
export const serverKind: ThingKind<net.Server | ListeningPort> = {
  name: 'server',

  is: (thing) => thing instanceof net.Server,

  release(thing) {
    const server = thing as net.Server
    const parcel = share(server)
    markOut(server, true)
    return {
      ...parcel,
      claimed() {
        markOut(server, false)
        closePort(server) // before our copy is closed: the path has an owner all the time
        parcel.claimed()
      },
      restored() {
        markOut(server, false)
        parcel.restored()
      },
    }
  },

  share: (thing) => share(thing as net.Server),

  prepare: () => (http === null ? findHttp() : undefined),

  objection({ descriptors, details }) {
    const { class: name } = detailsOf(details)
    if (name !== 'net' && name !== 'http' && name !== 'port') return 'its class is unknown here'
    const why = objectionToPort(descriptors)
    if (why !== null || name === 'port') return why
    if (descriptors.length > 1) return `a server has one descriptor, not ${descriptors.length}`
    return familyOf(descriptors[0] as number) === null ? 'its port is neither of TCP nor of UNIX' : null
  },

  adopt({ descriptors, details }) {
    const { class: name } = detailsOf(details)
    if (name === 'port') return adoptPort(descriptors, details, 'server')
    if (name !== 'http' || http !== null) return serverOf(descriptors, details)
    return findHttp().then(
      () => serverOf(descriptors, details),
      (error) => {
        closeMany(Int32Array.from(descriptors)) // nobody else has them
        throw error
      },
    )
  },
}

/** Node's http is large, and many programs move no server of it: loaded when the first is about to come. */
let http: typeof import('node:http') | null = null

async function findHttp(): Promise<void> {
  http = await import('node:http')
}

function serverOf(descriptors: readonly number[], details: unknown): net.Server {
  const { class: name, halfOpen, pauseOnConnect } = detailsOf(details)
  return taking(descriptors, (left) => {
    if (name !== 'net' && name !== 'http') throw notUnderstood('server', details)
    const descriptor = first(left)
    if (left.length > 1 || !isListening(descriptor) || familyOf(descriptor) === null) throw notWhatWasSaid('server')
    const options = { allowHalfOpen: halfOpen === true, pauseOnConnect: pauseOnConnect === true }
    const server = name === 'http' && http !== null ? http.createServer() : net.createServer(options)
    const path = pathIn(details, descriptor)
    serveOn(server, descriptor, path === null ? null : ownPath(path))
    left.shift()
    return server
  })
}

function share(server: net.Server): Parcel {
  assertHere(server)
  const descriptor = descriptorOfServer(server)
  if (descriptor < 0) throw notMovable(whyNot(server))
  const address = server.address()
  const path = typeof address === 'string' ? address : null
  const removePath = path === null ? null : lookAfterPath(server, path)
  const copies = copiesOf(descriptor)
  return {
    descriptors: copies.descriptors,
    details: { class: classOf(server), ...optionsOf(server), ...pathDetails(path) },
    claimed: copies.close,
    restored() {
      copies.close()
      if (descriptorOfServer(server) < 0) removePath?.() // it could not while our copy was open
    },
  }
}

function whyNot(server: net.Server): string {
  return server.listening
    ? 'the port of this server belongs to the process that started this one: hand it over from there'
    : "the server does not listen: wait for 'listening'"
}

function classOf(server: net.Server): Class {
  const isTls = 'setSecureContext' in server
  const isHttp2 = 'updateSettings' in server
  if (isTls || isHttp2) return 'port'
  return 'closeIdleConnections' in server ? 'http' : 'net'
}

function optionsOf(server: net.Server): { halfOpen?: true; pauseOnConnect?: true } {
  const { allowHalfOpen, pauseOnConnect } = server as { allowHalfOpen?: boolean; pauseOnConnect?: boolean }
  return { ...(allowHalfOpen ? { halfOpen: true } : {}), ...(pauseOnConnect ? { pauseOnConnect: true } : {}) }
}
