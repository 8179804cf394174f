/** Things of any kind, by their descriptors alone. */
import dgram from 'node:dgram'
import net from 'node:net'
import { shown } from '../arguments.js'
import { descriptorOfDatagrams } from '../runtime/node-datagrams.js'
import { descriptorOfServer } from '../runtime/node-servers.js'
import { descriptorOfSocket } from '../runtime/node-sockets.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import { type DescriptorLike, descriptorOf } from '../sendmsg/socket-argument.js'
import { AF_INET, AF_INET6, AF_UNIX, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_STREAM } from '../syscalls/constants.js'
import { close } from '../syscalls/descriptor.js'
import * as syscalls from '../syscalls/identity.js'
import { hasInput } from '../syscalls/poll.js'
import { getpeername } from '../syscalls/socket-name.js'
import { adoptSocket } from './adopt-socket.js'
import { datagramKind } from './datagram.js'
import { ListeningPort } from './listening-port.js'

/** What has a descriptor: of Node, or of ours. */
export type Identifiable = DescriptorLike | net.Socket | net.Server | dgram.Socket

/**
 * Who a thing is, as one text that every process of this machine computes alike: what a channel compares when things
 * arrive, and what `takeDescriptor` wants to find. Borrows it. docs/wire-format.md has the form.
 * @throws {TypeError | RangeError} it has no descriptor
 * @throws {SyscallError} EBADF: it is closed
 */
export function identify(thing: Identifiable): string {
  return syscalls.identify(numberOf(thing), identify)
}

function numberOf(thing: Identifiable): number {
  const number =
    thing instanceof net.Socket
      ? descriptorOfSocket(thing)
      : thing instanceof net.Server
        ? descriptorOfServer(thing)
        : thing instanceof dgram.Socket
          ? descriptorOfDatagrams(thing)
          : descriptorOf('thing', thing, 'fstat')
  if (number < 0) throw new TypeError(`thing: it has no descriptor now, ${shown(thing)}`)
  return number
}

/**
 * Makes of a descriptor what its kind is in this house: a `net.Socket` of a connected stream socket, a `ListeningPort` of
 * one that listens, a `dgram.Socket` of a UDP socket, a `Descriptor` of all else. Takes it, also when it throws.
 */
export function thingOf(descriptor: number): net.Socket | ListeningPort | dgram.Socket | Descriptor {
  switch (kindOf(descriptor)) {
    case 'datagrams':
      return datagramKind.adopt({ descriptors: [descriptor], details: null, bytes: Buffer.alloc(0) }) as dgram.Socket
    case 'port':
      return ListeningPort.adopt(descriptor)
    case 'tcp':
      return adoptSocket(descriptor, { type: 'tcp' }, Buffer.alloc(0))
    case 'unix':
      return adoptSocket(descriptor, { type: 'unix' }, Buffer.alloc(0))
    default:
      return new Descriptor(descriptor)
  }
}

/** What speaks as TCP does, and as UDP does. 0: this system does not tell. */
const STREAMS: ReadonlySet<number> = new Set([0, IPPROTO_TCP, 262]) // 262: MPTCP, which the headers of old systems lack
const DATAGRAMS: ReadonlySet<number> = new Set([0, IPPROTO_UDP])

/** Takes the descriptor when it throws. */
function kindOf(descriptor: number): 'datagrams' | 'port' | 'tcp' | 'unix' | 'other' {
  try {
    const identity = syscalls.parseIdentity(syscalls.identify(descriptor))
    if (!identity?.socket) return 'other'
    const { family, socketType, protocol, listening } = identity
    const internet = family === AF_INET || family === AF_INET6
    if (internet && socketType === SOCK_DGRAM) return DATAGRAMS.has(protocol) ? 'datagrams' : 'other'
    if (socketType !== SOCK_STREAM || !(internet ? STREAMS.has(protocol) : family === AF_UNIX)) return 'other'
    if (listening) return 'port'
    if (!isConnected(descriptor)) return 'other'
    return internet ? 'tcp' : 'unix'
  } catch (error) {
    if ((error as { code?: string }).code !== 'EBADF') close(descriptor)
    throw error
  }
}

/**
 * Whether a socket is connected, or was: of a client that has reset its connection the kernel forgets where it was, but
 * there is its end to be read. Borrows it.
 */
export function isConnected(descriptor: number): boolean {
  try {
    getpeername(descriptor)
    return true
  } catch {
    return hasInput(descriptor)
  }
}
