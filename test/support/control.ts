/** What tests of control messages share: sockets that go with the test, and descriptors whose last copy is noticed. */
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import type { TestContext } from 'node:test'
import * as api from '../../src/sendmsg/index.js'

/** The UNIX sockets that descriptors travel over. */
export const unixKinds = [
  { kind: 'stream', type: api.SOCK_STREAM },
  { kind: 'datagram', type: api.SOCK_DGRAM },
  { kind: 'seqpacket', type: api.SOCK_SEQPACKET },
] as const

export type Pair = [from: api.Descriptor, to: api.Descriptor]

/** Two connected UNIX sockets, closed with the test. */
export function unixPair(t: TestContext, type: number = api.SOCK_STREAM): Pair {
  const pair = api.socketpair(api.AF_UNIX, type)
  t.after(() => {
    for (const end of pair) end.close()
  })
  return pair
}

/** A descriptor to pass on; the end of its far side is seen once no copy of it is open anywhere. */
export interface Marked {
  near: api.Descriptor
  isGone(): boolean
}

/** `count` descriptors to pass on, closed with the test if they still are open. */
export function marked(t: TestContext, count = 1): Marked[] {
  return Array.from({ length: count }, () => {
    const [near, far] = unixPair(t)
    return { near, isGone: () => api.recvmsg(far, 1)?.data.length === 0 }
  })
}

/** Sends descriptors of marked ones and closes the sender's own: whoever receives them has the last copies. */
export function pass(from: api.Descriptor, bytes: string, things: Marked[]): void {
  assert.equal(api.sendmsg(from, Buffer.from(bytes), [api.rights(things.map(({ near }) => near))]), bytes.length)
  for (const { near } of things) near.close()
}

/** Fails unless every copy of each is closed. */
export function assertGone(things: Marked[], what = 'every copy is closed'): void {
  assert.deepEqual(
    things.map((thing) => thing.isGone()),
    things.map(() => true),
    what,
  )
}

/** Receives a message that must be there. */
export function receive(
  socket: api.DescriptorLike,
  ancillarySize = 4096,
  maxSize = 4096,
  flags = 0,
): api.ReceivedMessage {
  const message = api.recvmsg(socket, maxSize, ancillarySize, flags)
  assert.ok(message !== null, 'a message is there')
  return message
}

/** The same, of a socket of the network: what was sent may take a moment to arrive. */
export async function arrival(
  socket: api.DescriptorLike,
  ancillarySize = 4096,
  maxSize = 65_536,
  flags = 0,
): Promise<api.ReceivedMessage> {
  await api.readable(socket)
  return receive(socket, ancillarySize, maxSize, flags)
}

/** Room for `count` descriptors. */
export const spaceFor = (count: number): number => api.CMSG_SPACE(4 * count)

/** Level and type of each control message. */
export const kindsOf = (message: { ancillary: api.ReceivedControlMessage[] }): [number, number][] =>
  message.ancillary.map(([level, type]) => [level, type])

/** A socket, closed with the test. */
export function madeSocket(t: TestContext, family: number, type: number): api.Descriptor {
  const descriptor = api.socket(family, type)
  t.after(() => descriptor.close())
  return descriptor
}

export const loopback = { 4: '127.0.0.1', 6: '::1' } as const
export type Version = keyof typeof loopback

/** Whether this machine has the IPv6 loopback address. */
export const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))

/** Options of a test that needs it. */
export const IPV6 = { skip: hasIpv6 ? false : 'this machine has no ::1' }

/** A UDP socket bound to a port of the loopback address, and its address. */
export function udpSocket(t: TestContext, version: Version): { socket: api.Descriptor; address: api.AddressLike } {
  const socket = madeSocket(t, version === 4 ? api.AF_INET : api.AF_INET6, api.SOCK_DGRAM)
  api.bind(socket, { address: loopback[version], port: 0 })
  return { socket, address: api.getsockname(socket) as api.Address }
}

/** A UDP socket that is connected to another; closed with the test, as is the other. */
export function udpPair(t: TestContext, version: Version): Pair {
  const to = udpSocket(t, version)
  const from = udpSocket(t, version)
  api.connect(from.socket, to.address)
  return [from.socket, to.socket]
}

/** An established TCP connection. */
export async function tcpPair(t: TestContext, version: Version): Promise<Pair> {
  const family = version === 4 ? api.AF_INET : api.AF_INET6
  const listener = madeSocket(t, family, api.SOCK_STREAM)
  api.bind(listener, { address: loopback[version], port: 0 })
  api.listen(listener)
  const client = madeSocket(t, family, api.SOCK_STREAM)
  api.connect(client, api.getsockname(listener) as api.Address)
  await api.readable(listener)
  const accepted = api.accept(listener)
  assert.ok(accepted !== null)
  t.after(() => accepted.descriptor.close())
  await api.writable(client)
  return [client, accepted.descriptor]
}
