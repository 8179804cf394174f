import net from 'node:net'
import { wholeMilliseconds } from '../arguments.js'
import type { Arrived, Parcel, ReleaseOptions, ThingKind } from '../channel/kinds.js'
import { FLUSH_TIMEOUT } from '../limits.js'
import { HeldSocket } from '../runtime/held-socket.js'
import { descriptorOfSocket } from '../runtime/node-sockets.js'
import { dup } from '../syscalls/descriptor.js'
import { identify } from '../syscalls/identity.js'
import { adoptSocket, checkConnection } from './adopt-socket.js'
import { first, taking } from './arrived.js'
import { type ConnectionDetails, describe, parseDetails } from './connection-details.js'
import { copiesOf } from './copies.js'
import { assertHere, assertMovable, flushed, hasOutput, markOut, notFlushed, notMovable } from './movable.js'
import { Transport } from './transport.js'

/** Live connections: `net.Socket`s, and `Transport`s, each of which arrives as what it was. */
export const connectionKind: ThingKind<net.Socket | Transport> = {
  name: 'connection',

  is: (thing) => thing instanceof net.Socket || thing instanceof Transport,

  release(thing, options) {
    if (thing instanceof Transport) return parcelOfTransport(thing)
    assertMovable(thing)
    if (!hasOutput(thing)) return parcelOfSocket(thing)
    if (options.flushTimeout <= 0) throw notFlushed(thing, 0)
    return releaseLater(thing, options)
  },

  objection({ descriptors, ids, details, bytes }) {
    const parsed = parseDetails(details)
    if (descriptors.length !== 1) return `a connection has one descriptor, not ${descriptors.length}`
    if (parsed.noRead && bytes.length > 0) return 'a connection that is not to be read came with bytes that were read'
    const descriptor = descriptors[0] as number
    checkConnection(descriptor, ids?.[0] ?? identify(descriptor), parsed)
    return null
  },

  adopt({ descriptors, details, bytes }: Arrived) {
    return taking(descriptors, (left) => {
      const parsed = parseDetails(details)
      const descriptor = first(left)
      left.shift()
      if (parsed.transport) return new Transport(descriptor, parsed, bytes)
      return adoptSocket(descriptor, parsed, bytes)
    })
  },
}

async function releaseLater(socket: net.Socket, { flushTimeout }: ReleaseOptions): Promise<Parcel> {
  await flushed(socket, flushTimeout)
  assertMovable(socket)
  return parcelOfSocket(socket)
}

function parcelOfSocket(socket: net.Socket): Parcel {
  const descriptor = descriptorOfSocket(socket)
  const details = describe(socket, descriptor) // before its time limit is taken away
  const held = new HeldSocket(socket)
  markOut(socket, true)
  return {
    descriptors: [descriptor],
    details,
    bytes: held.bytes,
    claimed() {
      markOut(socket, false)
      held.dispose()
    },
    restored() {
      markOut(socket, false)
      held.restore()
    },
  }
}

/** Its owner may close it meanwhile: what travels is a copy. */
function parcelOfTransport(transport: Transport): Parcel {
  assertHere(transport)
  if (transport.fd < 0) throw notMovable('the transport is spent: adopted, closed or sent')
  const copies = copiesOf(transport.fd)
  markOut(transport, true)
  return {
    descriptors: copies.descriptors,
    details: { ...transport.details, transport: true },
    bytes: transport.unread,
    claimed() {
      markOut(transport, false)
      copies.close()
      transport.close()
    },
    restored() {
      markOut(transport, false)
      copies.close()
    },
  }
}

/**
 * Takes a connection out of Node: the socket is destroyed, without its peer noticing, and the Transport has the
 * descriptor and every byte that was read and not delivered. Takes the socket, unless it throws.
 * @param options.flushTimeout  milliseconds that output which is still in this process has to reach the kernel; default
 *   5000, 0: none may be left
 * @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE: it cannot leave now; the message says why, and what to do
 * @throws {SyscallError} EMFILE
 */
export async function release(socket: net.Socket, options: { flushTimeout?: number } = {}): Promise<Transport> {
  if (!(socket instanceof net.Socket)) throw new TypeError('socket: a net.Socket')
  const flushTimeout = wholeMilliseconds('flushTimeout', options.flushTimeout ?? FLUSH_TIMEOUT)
  const parcel = await connectionKind.release(socket, { flushTimeout })
  try {
    const [descriptor] = parcel.descriptors as [number]
    const transport = new Transport(dup(descriptor), parcel.details as ConnectionDetails, parcel.bytes as Uint8Array)
    parcel.claimed()
    return transport
  } catch (error) {
    parcel.restored()
    throw error
  }
}

/**
 * Makes a `net.Socket` of a Transport, which is spent then.
 * @throws {HandoverError} ERR_HANDOVER_CLOSED: it is spent already
 * @see Transport.adopt
 */
export function adopt(transport: Transport): net.Socket {
  return transport.adopt()
}
