/** Control buffers of every size: never an invalid descriptor, MSG_CTRUNC when something was cut, nothing leaked. */
import assert from 'node:assert/strict'
import { fstatSync } from 'node:fs'
import test, { type TestContext } from 'node:test'
import {
  CMSG_LEN,
  CMSG_SPACE,
  closeDescriptors,
  type Descriptor,
  MSG_CTRUNC,
  MSG_PEEK,
  MSG_TRUNC,
  type ReceivedMessage,
  recvmmsg,
  recvmsg,
  recvmsgInto,
  rights,
  SOCK_STREAM,
} from '../../src/sendmsg/index.js'
import { command } from '../support/command.js'
import { assertGone, marked, pass, receive, spaceFor, unixKinds, unixPair } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'

/** Every way to receive, each as one message. */
const receivers: Record<string, (socket: Descriptor, ancillarySize: number) => ReceivedMessage> = {
  recvmsg: (socket, ancillarySize) => receive(socket, ancillarySize),
  recvmsgInto(socket, ancillarySize) {
    const data = Buffer.alloc(100)
    const message = recvmsgInto(socket, data, ancillarySize)
    assert.ok(message !== null)
    return { ...message, data: data.subarray(0, message.bytes) }
  },
  recvmmsg(socket, ancillarySize) {
    const [message] = recvmmsg(socket, 1, 100, ancillarySize) ?? []
    assert.ok(message !== undefined)
    return message
  },
}

/** Descriptors that the kernel has room for: all that its padding admits too. */
const fitting = (size: number): number => (size < CMSG_LEN(4) ? 0 : Math.floor((size - CMSG_LEN(0)) / 4))

/** Sends `count` descriptors and receives them with room of `size` bytes; checks all that can be known. */
function cut(t: TestContext, type: number, name: string, count: number, size: number): void {
  const what = `${name}, ${count} sent, room for ${size} bytes`
  const [from, to] = unixPair(t, type)
  const things = marked(t, count)
  const files = things.map(({ near }) => fstatSync(near.fd).ino)
  pass(from, 'x', things)
  const message = (receivers[name] as (typeof receivers)[string])(to, size)
  assert.equal(message.data.toString(), 'x', `${what}: the bytes arrive`)
  const received = rights.from(message.ancillary)
  const expected = Math.min(count, fitting(size))
  assert.deepEqual(
    received.map((descriptor) => fstatSync(descriptor).ino),
    files.slice(0, expected),
    `${what}: only open descriptors, the first ones`,
  )
  assert.equal((message.flags & MSG_CTRUNC) !== 0, expected < count, `${what}: MSG_CTRUNC`)
  assertGone(things.slice(expected), `${what}: what did not arrive is closed`)
  assert.ok(
    things.slice(0, expected).every((thing) => !thing.isGone()),
    `${what}: what arrived is open`,
  )
  assert.equal(closeDescriptors(message.ancillary), expected)
  assertGone(things, `${what}: nothing is left`)
}

for (const { kind, type } of unixKinds) {
  for (const name of Object.keys(receivers)) {
    test(`one descriptor into every control buffer of 0 … 64 bytes, ${name} over a ${kind} socket`, (t) => {
      noLeak(t)
      for (let size = 0; size <= 64; size++) cut(t, type, name, 1, size)
    })

    test(`two descriptors into every control buffer of 0 … 64 bytes, ${name} over a ${kind} socket`, (t) => {
      noLeak(t)
      for (let size = 0; size <= 64; size++) cut(t, type, name, 2, size)
    })
  }

  test(`room around every bound of CMSG_LEN and CMSG_SPACE, over a ${kind} socket`, (t) => {
    noLeak(t)
    for (const count of [1, 2, 3, 4, 253]) {
      for (const bound of [CMSG_LEN(0), CMSG_SPACE(0), CMSG_LEN(4 * count), spaceFor(count), CMSG_LEN(4 * count - 4)]) {
        for (const size of [bound - 1, bound, bound + 1]) cut(t, type, 'recvmsg', count, size)
      }
    }
  })

  test(`room for one of two descriptors admits both, without a word: the padding has room, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const things = marked(t, 2)
    pass(from, 'x', things)
    const message = receive(to, spaceFor(1))
    assert.equal(message.flags, 0)
    assert.equal(closeDescriptors(message.ancillary), 2)
    assertGone(things)
  })

  test(`room for control messages that nobody sent changes nothing, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    for (const size of [0, 1, CMSG_LEN(0), 10_240, 65_536]) {
      pass(from, 'plain', [])
      assert.deepEqual(receive(to, size), { data: Buffer.from('plain'), ancillary: [], flags: 0, address: null })
    }
  })

  test(`a look with MSG_PEEK and too little room closes what it cannot give, and the message stays whole, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const things = marked(t, 4)
    pass(from, 'x', things)
    for (const [size, expected] of [
      [0, 0],
      [CMSG_LEN(8), 2],
    ] as const) {
      const look = receive(to, size, 10, MSG_PEEK)
      assert.equal(closeDescriptors(look.ancillary), expected)
      assert.notEqual(look.flags & MSG_CTRUNC, 0)
    }
    assert.ok(things.every((thing) => !thing.isGone()))
    assert.equal(closeDescriptors(receive(to, spaceFor(4)).ancillary), 4)
    assertGone(things)
  })
}

for (const { kind, type } of unixKinds.filter((each) => each.type !== SOCK_STREAM)) {
  test(`a datagram cut short still brings every descriptor, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    for (const room of [0, 1, 5]) {
      const things = marked(t, 3)
      pass(from, 'longer', things)
      const message = receive(to, spaceFor(3), room)
      assert.equal(message.data.toString(), 'longer'.slice(0, room))
      assert.equal(message.flags & (MSG_TRUNC | MSG_CTRUNC), MSG_TRUNC)
      assert.equal(closeDescriptors(message.ancillary), 3)
      assertGone(things)
    }
    assert.equal(recvmsg(to), null, 'what was cut off is gone')
  })

  test(`each of several messages is cut by itself, recvmmsg over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const groups = [1, 5, 0, 2].map((count) => marked(t, count))
    groups.forEach((things, i) => {
      pass(from, `${i}`, things)
    })
    const messages = recvmmsg(to, 10, 10, CMSG_LEN(8)) ?? []
    assert.deepEqual(
      messages.map(({ data, flags, ancillary }) => [`${data}`, flags & MSG_CTRUNC, rights.from(ancillary).length]),
      [
        ['0', 0, 1],
        ['1', MSG_CTRUNC, 2],
        ['2', 0, 0],
        ['3', 0, 2],
      ],
    )
    assertGone((groups[1] ?? []).slice(2))
    for (const { ancillary } of messages) closeDescriptors(ancillary)
    for (const things of groups) assertGone(things)
  })
}

test('a stream read byte by byte brings the descriptors with the first byte only', (t) => {
  noLeak(t)
  const [from, to] = unixPair(t)
  const things = marked(t, 2)
  pass(from, 'abc', things)
  const reads = [1, 1, 1].map((room) => receive(to, spaceFor(2), room))
  assert.deepEqual(
    reads.map(({ data, ancillary, flags }) => [`${data}`, rights.from(ancillary).length, flags]),
    [
      ['a', 2, 0],
      ['b', 0, 0],
      ['c', 0, 0],
    ],
  )
  for (const { ancillary } of reads) closeDescriptors(ancillary)
  assertGone(things)
})

for (const { kind, type } of unixKinds) {
  test(`a receiver at its descriptor limit gets the bytes, MSG_CTRUNC, fewer descriptors and no error, over a ${kind} socket`, async (t) => {
    noLeak(t)
    // The limit is the child's alone: it opens descriptors up to it, closes as many as it is told, and receives.
    for (const [sent, free] of [
      [1, 0],
      [5, 3],
      [3, 3],
    ] as const) {
      const child = command(t, 'prlimit', [
        '--nofile=120',
        process.execPath,
        fixture('rights-at-limit.mjs'),
        ...[type, sent, free].map(String),
      ])
      assert.equal(await child.ended, 0, child.said())
      assert.deepEqual(JSON.parse(child.stdout()), {
        data: 'bytes',
        truncated: free < sent,
        descriptors: Math.min(sent, free),
        open: Math.min(sent, free),
        gone: sent,
      })
    }
  })
}
