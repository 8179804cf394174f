/** Every kind of socket that messages go over, each with a way to a pair of ends that can send to each other. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import * as api from '../../src/sendmsg/index.js'
import { scratch } from './paths.js'

/** Two ends. A send from the left one reaches the right one, with `to` as its address where that is there. */
export interface Ends {
  left: api.Descriptor
  right: api.Descriptor
  to: api.Address | undefined
  back: api.Address | undefined
  /** What the right one is told of the sender of a message from the left one. */
  from: api.Address | null
}

export interface SocketKind {
  name: string
  /** As in `AF_INET`, less its prefix. */
  family: 'UNIX' | 'INET' | 'INET6'
  type: 'STREAM' | 'DGRAM' | 'SEQPACKET'
  /** Bytes without bounds between messages. */
  stream: boolean
  /** It tells its peer of its end. */
  ends: boolean
  pair(t: TestContext): Promise<Ends>
}

/** Numbers of a kind, for `socket`. */
export const familyOf = ({ family }: SocketKind): number =>
  ({ UNIX: api.AF_UNIX, INET: api.AF_INET, INET6: api.AF_INET6 })[family]
export const typeOf = ({ type }: SocketKind): number =>
  ({ STREAM: api.SOCK_STREAM, DGRAM: api.SOCK_DGRAM, SEQPACKET: api.SOCK_SEQPACKET })[type]

/** A descriptor that is closed with the test. */
export function owned(t: TestContext, descriptor: api.Descriptor): api.Descriptor {
  t.after(() => descriptor.close())
  return descriptor
}

type Names = (t: TestContext) => () => api.AddressLike

const paths: Names = (t) => {
  const folder = scratch(t)
  return () => ({ path: join(folder, randomUUID()) })
}
/** The trailing zero bytes are a part of the name. */
const abstractNames: Names = () => () => ({ path: `\0handover-${randomUUID()}\0\0` })
const ports =
  (address: string): Names =>
  () =>
  () => ({ address, port: 0 })

function bound(t: TestContext, kind: SocketKind, address: api.AddressLike): [api.Descriptor, api.Address] {
  const descriptor = owned(t, api.socket(familyOf(kind), typeOf(kind)))
  api.bind(descriptor, address)
  return [descriptor, api.getsockname(descriptor) as api.Address]
}

async function unnamed(t: TestContext, kind: SocketKind): Promise<Ends> {
  const [left, right] = api.socketpair(api.AF_UNIX, typeOf(kind))
  return { left: owned(t, left), right: owned(t, right), to: undefined, back: undefined, from: null }
}

/** Connects a client that has a name too, so that a message over a UNIX socket tells it. */
const accepted = (names: Names) => async (t: TestContext, kind: SocketKind) => {
  const name = names(t)
  const [listener, address] = bound(t, kind, name())
  api.listen(listener)
  const [left, leftAddress] = bound(t, kind, name())
  api.connect(left, address)
  await api.readable(listener)
  const connection = api.accept(listener)
  assert.ok(connection !== null)
  const right = owned(t, connection.descriptor)
  await api.writable(left)
  listener.close()
  return { left, right, to: undefined, back: undefined, from: kind.family === 'UNIX' ? leftAddress : null }
}

const datagrams = (names: Names, connected: boolean) => async (t: TestContext, kind: SocketKind) => {
  const name = names(t)
  const [left, leftAddress] = bound(t, kind, name())
  const [right, rightAddress] = bound(t, kind, name())
  if (!connected) return { left, right, to: rightAddress, back: leftAddress, from: leftAddress }
  api.connect(left, rightAddress)
  api.connect(right, leftAddress)
  return { left, right, to: undefined, back: undefined, from: leftAddress }
}

type Row = [name: string, family: SocketKind['family'], type: SocketKind['type'], pair: SocketPair]
type SocketPair = (t: TestContext, kind: SocketKind) => Promise<Ends>

const rows: Row[] = [
  ['UNIX stream pair', 'UNIX', 'STREAM', unnamed],
  ['UNIX stream bound to a path', 'UNIX', 'STREAM', accepted(paths)],
  ['UNIX stream with an abstract name', 'UNIX', 'STREAM', accepted(abstractNames)],
  ['UNIX seqpacket pair', 'UNIX', 'SEQPACKET', unnamed],
  ['UNIX seqpacket bound to a path', 'UNIX', 'SEQPACKET', accepted(paths)],
  ['UNIX seqpacket with an abstract name', 'UNIX', 'SEQPACKET', accepted(abstractNames)],
  ['UNIX datagram pair', 'UNIX', 'DGRAM', unnamed],
  ['UNIX datagram bound to a path', 'UNIX', 'DGRAM', datagrams(paths, false)],
  ['UNIX datagram bound to a path, connected', 'UNIX', 'DGRAM', datagrams(paths, true)],
  ['UNIX datagram with an abstract name', 'UNIX', 'DGRAM', datagrams(abstractNames, false)],
  ['TCP over IPv4', 'INET', 'STREAM', accepted(ports('127.0.0.1'))],
  ['TCP over IPv6', 'INET6', 'STREAM', accepted(ports('::1'))],
  ['UDP over IPv4', 'INET', 'DGRAM', datagrams(ports('127.0.0.1'), false)],
  ['UDP over IPv4, connected', 'INET', 'DGRAM', datagrams(ports('127.0.0.1'), true)],
  ['UDP over IPv6', 'INET6', 'DGRAM', datagrams(ports('::1'), false)],
  ['UDP over IPv6, connected', 'INET6', 'DGRAM', datagrams(ports('::1'), true)],
]

export const socketKinds: SocketKind[] = rows.map(([name, family, type, pair]) => {
  const kind: SocketKind = {
    name,
    family,
    type,
    stream: type === 'STREAM',
    ends: type !== 'DGRAM',
    pair: (t) => pair(t, kind),
  }
  return kind
})

export const streams = socketKinds.filter((kind) => kind.stream)
export const packets = socketKinds.filter((kind) => !kind.stream)
/** One row a family and type, where names and connections make no difference. */
export const distinctKinds = socketKinds.filter(
  ({ family, type }, i) => socketKinds.findIndex((other) => other.family === family && other.type === type) === i,
)

/** Sends from the left end to the right one. */
export function send(ends: Ends, data: api.Buffers, flags = 0, ancillary?: api.ControlMessage[]): number | null {
  return api.sendmsg(ends.left, data, ancillary, flags, ends.to)
}

/** Receives what is there or about to come. */
export async function receive(
  socket: api.Descriptor,
  maxSize?: number,
  ancillarySize?: number,
  flags?: number,
): Promise<api.ReceivedMessage> {
  for (;;) {
    await api.readable(socket)
    const message = api.recvmsg(socket, maxSize, ancillarySize, flags)
    if (message !== null) return message
  }
}

/** Receives exactly so many bytes, in however many messages they come. */
export async function receiveAll(socket: api.Descriptor, bytes: number): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let left = bytes; left > 0; ) {
    const { data } = await receive(socket, left)
    if (data.length === 0) break
    parts.push(data)
    left -= data.length
  }
  return Buffer.concat(parts)
}

/** Fails unless bytes still go both ways and nothing else was on its way. */
export async function assertUsable(ends: Ends): Promise<void> {
  const there = randomUUID()
  assert.equal(send(ends, Buffer.from(there)), there.length)
  assert.equal((await receive(ends.right)).data.toString(), there)
  const back = randomUUID()
  assert.equal(api.sendmsg(ends.right, Buffer.from(back), undefined, 0, ends.back), back.length)
  assert.equal((await receive(ends.left)).data.toString(), back)
}

/** Fills a socket until it would block; how many bytes, or datagrams of `size` bytes, it took. */
export function fill(ends: Ends, size: number): number {
  const bytes = Buffer.alloc(size, 'f')
  let sent = 0
  for (;;) {
    const taken = send(ends, bytes)
    if (taken === null) return sent
    sent += taken
  }
}
