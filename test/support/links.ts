import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { LinkHandlers } from '../../src/channel/handlers.js'
import { Link } from '../../src/channel/link.js'
import { close } from '../../src/syscalls/descriptor.js'
import { pollReadable } from '../../src/syscalls/poll.js'
import { recvRights, sendRights } from '../../src/syscalls/rights.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { encodeCount, encodeFrame, encodeHeader, FrameType } from '../../src/wire/frame.js'
import { ownHello } from '../../src/wire/hello.js'
import { until } from './wait.js'

/** Two connected channels in this process, both past their hellos. */
export async function linkPair(t: TestContext, left: LinkHandlers, right: LinkHandlers): Promise<[Link, Link]> {
  const [a, b] = socketpair()
  const channels: [Link, Link] = [new Link(a, left), new Link(b, right)]
  t.after(() => {
    for (const channel of channels) channel.close()
  })
  await until('both hellos', () => channels.every((channel) => channel.peer !== null))
  return channels
}

/** A channel whose peer is a bare socket, for a peer that misbehaves. The socket is closed with the test. */
export function linkAndSocket(t: TestContext, handlers: LinkHandlers): { channel: Link; socket: number } {
  const [a, socket] = socketpair()
  const channel = new Link(a, handlers)
  t.after(() => {
    channel.close()
    close(socket)
  })
  return { channel, socket }
}

/** The hello of this release, as bytes. */
export const hello = encodeFrame(FrameType.hello, Buffer.from(JSON.stringify(ownHello())))

/** Sends bytes and descriptors as a peer of any kind might. */
export function raw(socket: number, bytes: Uint8Array, descriptors: number[] = []): void {
  assert.equal(
    sendRights(socket, bytes, 0, bytes.length, Int32Array.from(descriptors), 0, descriptors.length),
    bytes.length,
  )
}

/** Live connections of port `tag`, from sequence number `sequence` on. */
export function transportsFrame(sequence: number, tag: number, count: number): Buffer {
  const frame = Buffer.alloc(8 + 12)
  frame.writeUInt32LE(tag, encodeCount(frame, encodeHeader(frame, 0, FrameType.transports, 12, count), sequence))
  return frame
}

/** A descriptor whose last copy is noticed: the end of `watch` is seen once every copy of the other end is closed. */
export function traced(): { descriptor: number; isGone(): boolean; watch: number } {
  const [descriptor, watch] = socketpair()
  const isGone = (): boolean =>
    pollReadable(watch, 0) && recvRights(watch, Buffer.alloc(1), 0, 1, new Int32Array(253), new Int32Array(2)) === 0
  return { descriptor, isGone, watch }
}

/** A claim of everything below `upTo`. */
export function claimFrame(upTo: number): Buffer {
  const frame = Buffer.alloc(16)
  encodeCount(frame, encodeHeader(frame, 0, FrameType.claim, 8), upTo)
  return frame
}

/** A message frame without descriptors. */
export function messageFrame(json: string): Buffer {
  return encodeFrame(FrameType.message, Buffer.from(json))
}
