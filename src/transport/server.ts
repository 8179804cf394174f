import net from 'node:net'
import type { Parcel, ThingKind } from '../channel/kinds.js'
import { closePort, descriptorOfServer } from '../runtime/node-servers.js'
import { detailsOf, familyOf, first, isListening, notUnderstood, notWhatWasSaid, taking } from './arrived.js'
import { copiesOf } from './copies.js'
import type { ListeningPort } from './listening-port.js'
import { assertHere, markOut, notMovable } from './movable.js'
import { adoptPort, pathDetails, pathIn } from './port.js'
import { lookAfterPath, serveOn } from './server-port.js'

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

  adopt({ descriptors, details }) {
    const { class: name, halfOpen, pauseOnConnect } = detailsOf(details)
    if (name === 'port') return adoptPort(descriptors, details, 'server')
    const adopted = (make: () => net.Server): net.Server =>
      taking(descriptors, (left) => {
        if (name !== 'net' && name !== 'http') throw notUnderstood('server', details)
        const descriptor = first(left)
        if (!isListening(descriptor) || familyOf(descriptor) === null) throw notWhatWasSaid('server')
        const server = make()
        serveOn(server, left.shift() as number, pathIn(details))
        return server
      })
    if (name === 'http') return import('node:http').then(({ createServer }) => adopted(createServer))
    const options = { allowHalfOpen: halfOpen === true, pauseOnConnect: pauseOnConnect === true }
    return adopted(() => net.createServer(options))
  },
}

function share(server: net.Server): Parcel {
  assertHere(server)
  const descriptor = descriptorOfServer(server)
  if (descriptor < 0) throw notMovable(whyNot(server))
  const address = server.address()
  const path = typeof address === 'string' ? address : null
  const copies = copiesOf(descriptor)
  const removePath = path === null ? null : lookAfterPath(server, path)
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
