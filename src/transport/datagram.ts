import dgram from 'node:dgram'
import { setTimeout as delay } from 'node:timers/promises'
import type { Parcel, ReleaseOptions, ThingKind } from '../channel/kinds.js'
import {
  descriptorOfDatagrams,
  goOnReceiving,
  isConnecting,
  setConnected,
  stopReceiving,
} from '../runtime/node-datagrams.js'
import { SO_TYPE, SOCK_DGRAM, SOL_SOCKET } from '../syscalls/constants.js'
import { close, dup } from '../syscalls/descriptor.js'
import { getpeername, getsockname } from '../syscalls/socket-name.js'
import { getsockoptInt } from '../syscalls/sockopt.js'
import { first, notWhatWasSaid, taking } from './arrived.js'
import { copiesOf } from './copies.js'
import { assertHere, markOut, notMovable } from './movable.js'

/** Milliseconds between two looks at output that nothing announces the end of. */
const BETWEEN_LOOKS = 2

/** UDP sockets, bound and perhaps connected. What comes meanwhile waits in the kernel for whoever has it in the end. */
export const datagramKind: ThingKind<dgram.Socket> = {
  name: 'datagram',

  is: (thing) => thing instanceof dgram.Socket,

  release(socket, options) {
    assertBound(socket)
    if (socket.getSendQueueCount() === 0) return parcelOf(socket)
    if (options.flushTimeout <= 0) throw notSent(socket, 0)
    return releaseLater(socket, options)
  },

  share(socket) {
    const copies = copiesOf(assertBound(socket))
    return { descriptors: copies.descriptors, claimed: copies.close, restored: copies.close }
  },

  objection({ descriptors }) {
    if (descriptors.length !== 1) return `a UDP socket has one descriptor, not ${descriptors.length}`
    typeOf(descriptors[0] as number)
    return null
  },

  adopt: ({ descriptors }) =>
    taking(descriptors, (left) => {
      const socket = dgram.createSocket(typeOf(first(left)))
      try {
        if (left[0] === 0) left[0] = aboveZero() // Node takes 0 for none
        const connected = hasPeer(left[0] as number)
        socket.bind({ fd: left[0] as number, exclusive: true } as dgram.BindOptions)
        left.shift()
        if (connected) setConnected(socket)
        return socket
      } catch (error) {
        socket.close()
        throw error
      }
    }),
}

/** @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE */
function assertBound(socket: dgram.Socket): number {
  assertHere(socket)
  const descriptor = descriptorOfDatagrams(socket)
  if (descriptor < 0) throw notMovable("the datagram socket is closed, or not bound yet: wait for 'listening'")
  if (isConnecting(socket)) throw notMovable("the datagram socket is being connected: wait for 'connect'")
  return descriptor
}

function notSent(socket: dgram.Socket, milliseconds: number): Error {
  const waited = milliseconds > 0 ? ` after ${milliseconds} ms` : ''
  return notMovable(
    `${socket.getSendQueueCount()} datagrams are still in this process${waited}: wait for the callbacks of send`,
  )
}

async function releaseLater(socket: dgram.Socket, { flushTimeout }: ReleaseOptions): Promise<Parcel> {
  const deadline = performance.now() + flushTimeout
  while (descriptorOfDatagrams(socket) >= 0 && socket.getSendQueueCount() > 0) {
    if (performance.now() >= deadline) throw notSent(socket, flushTimeout)
    await delay(BETWEEN_LOOKS)
  }
  assertBound(socket)
  return parcelOf(socket)
}

function parcelOf(socket: dgram.Socket): Parcel {
  const copies = copiesOf(descriptorOfDatagrams(socket)) // its owner may close it meanwhile
  stopReceiving(socket)
  markOut(socket, true)
  return {
    descriptors: copies.descriptors,
    claimed() {
      markOut(socket, false)
      copies.close()
      if (descriptorOfDatagrams(socket) >= 0) socket.close()
    },
    restored() {
      markOut(socket, false)
      copies.close()
      goOnReceiving(socket)
    },
  }
}

/** @throws {HandoverError} ERR_HANDOVER_IDENTITY */
function typeOf(descriptor: number): dgram.SocketType {
  try {
    if (getsockoptInt(descriptor, SOL_SOCKET, SO_TYPE) === SOCK_DGRAM) {
      const family = getsockname(descriptor)?.family
      if (family === 'IPv4') return 'udp4'
      if (family === 'IPv6') return 'udp6'
    }
  } catch (cause) {
    throw notWhatWasSaid('UDP socket', cause)
  }
  throw notWhatWasSaid('UDP socket')
}

function hasPeer(descriptor: number): boolean {
  try {
    return getpeername(descriptor) !== null
  } catch {
    return false
  }
}

function aboveZero(): number {
  const copy = dup(0)
  close(0)
  return copy
}
