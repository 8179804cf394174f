import assert from 'node:assert/strict'
import test from 'node:test'
import { Link } from '../../src/channel/link.js'
import { close, closeMany } from '../../src/syscalls/descriptor.js'
import { pollReadable } from '../../src/syscalls/poll.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { encodeFrame, FrameType } from '../../src/wire/frame.js'
import { ownHello } from '../../src/wire/hello.js'
import { noLeak } from '../support/descriptors.js'
import { claimFrame, hello, linkAndSocket, messageFrame, raw, traced, transportsFrame } from '../support/links.js'
import { until } from '../support/wait.js'

/** Sends each part in a message of its own: bytes, with this many traced descriptors. Returns their watches. */
function send(socket: number, ...parts: (Buffer | [bytes: Buffer, descriptors: number])[]): number[] {
  const watches: number[] = []
  for (const part of parts) {
    const [bytes, count] = Array.isArray(part) ? part : [part, 0]
    const things = Array.from({ length: count }, traced)
    const descriptors = things.map(({ descriptor }) => descriptor)
    raw(socket, bytes, descriptors)
    closeMany(Int32Array.from(descriptors))
    watches.push(...things.map(({ watch }) => watch))
  }
  return watches
}

const foreignVersion = encodeFrame(
  FrameType.hello,
  Buffer.from(JSON.stringify({ ...ownHello(), version: 99, oldest: 98 })),
)

const misbehaviour: [rule: string, code: string, act: (socket: number) => number[]][] = [
  ['speaks before its hello', 'ERR_HANDOVER_BAD_FRAME', (socket) => send(socket, messageFrame('1'))],
  ['says hello twice', 'ERR_HANDOVER_BAD_FRAME', (socket) => send(socket, Buffer.concat([hello, hello]))],
  ['speaks another version', 'ERR_HANDOVER_VERSION', (socket) => send(socket, foreignVersion)],
  [
    'speaks another protocol',
    'ERR_HANDOVER_BAD_FRAME',
    (socket) => send(socket, Buffer.from('GET / HTTP/1.1\r\n\r\n')),
  ],
  ['sends what is not JSON', 'ERR_HANDOVER_BAD_FRAME', (socket) => send(socket, hello, messageFrame('{'))],
  ['claims what was never sent', 'ERR_HANDOVER_BAD_FRAME', (socket) => send(socket, hello, claimFrame(1))],
  [
    'announces descriptors that do not come',
    'ERR_HANDOVER_DESCRIPTORS_MISSING',
    (socket) => send(socket, hello, transportsFrame(0, 1, 2)),
  ],
  [
    'sends more descriptors than announced',
    'ERR_HANDOVER_DESCRIPTORS_SURPLUS',
    (socket) => send(socket, hello, [transportsFrame(0, 1, 2), 3]),
  ],
  [
    'sends more descriptors than a half-sent frame announced',
    'ERR_HANDOVER_DESCRIPTORS_SURPLUS',
    (socket) => send(socket, hello, [transportsFrame(0, 1, 2).subarray(0, 10), 3]),
  ],
  [
    'sends descriptors that no frame announces',
    'ERR_HANDOVER_DESCRIPTORS_SURPLUS',
    (socket) => send(socket, hello, [messageFrame('1'), 1]),
  ],
  ['sends descriptors with its hello', 'ERR_HANDOVER_DESCRIPTORS_SURPLUS', (socket) => send(socket, [hello, 1])],
  [
    'repeats a sequence number',
    'ERR_HANDOVER_BAD_FRAME',
    (socket) => send(socket, hello, [transportsFrame(0, 1, 1), 1], [transportsFrame(0, 1, 1), 1]),
  ],
]

for (const [rule, code, act] of misbehaviour) {
  test(`a peer that ${rule} ends the channel with an error, and nothing it sent is left open`, async (t) => {
    noLeak(t)
    let error: Error | null | undefined
    const { socket } = linkAndSocket(t, {
      transports: (_, descriptors) => closeMany(descriptors),
      closed: (reason) => {
        error = reason
      },
    })
    const watches = act(socket)
    await until('the channel ended', () => error !== undefined)
    assert.equal((error as { code?: string } | null)?.code, code)
    for (const watch of watches) {
      await until('every copy is closed', () => pollReadable(watch, 0))
      close(watch)
    }
  })
}

test('a peer that ends in the middle of a frame leaves nothing open', async (t) => {
  noLeak(t)
  let ended = false
  const [ours, theirs] = socketpair()
  const channel = new Link(ours, {
    closed: () => {
      ended = true
    },
  })
  t.after(() => channel.close())
  const [watch] = send(theirs, hello, [transportsFrame(0, 1, 1).subarray(0, 5), 1])
  close(theirs)
  await until('the channel ended', () => ended)
  await until('the copy is closed', () => pollReadable(watch as number, 0))
  close(watch as number)
})
