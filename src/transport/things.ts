/** Things of any kind, by their descriptors alone. */
import dgram from 'node:dgram'
import net from 'node:net'
import { shown } from '../arguments.js'
import { descriptorOfDatagrams } from '../runtime/node-datagrams.js'
import { descriptorOfServer } from '../runtime/node-servers.js'
import { descriptorOfSocket } from '../runtime/node-sockets.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import { type DescriptorLike, descriptorOf } from '../sendmsg/socket-argument.js'
import { AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM } from '../syscalls/constants.js'
import * as syscalls from '../syscalls/identity.js'
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
  const identity = syscalls.parseIdentity(syscalls.identify(descriptor))
  if (!identity?.socket) return new Descriptor(descriptor)
  const { family, socketType, listening } = identity
  const internet = family === AF_INET || family === AF_INET6
  if (internet && socketType === SOCK_DGRAM) {
    return datagramKind.adopt({ descriptors: [descriptor], details: null, bytes: Buffer.alloc(0) }) as dgram.Socket
  }
  if (socketType !== SOCK_STREAM || !(internet || family === AF_UNIX)) return new Descriptor(descriptor)
  if (listening) return ListeningPort.adopt(descriptor)
  return adoptSocket(descriptor, { type: internet ? 'tcp' : 'unix' }, Buffer.alloc(0))
}
