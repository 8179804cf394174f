/** Descriptors on their way: with which bytes they go, and what a full socket does to them. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { closeDescriptors, recvmsg, rights, SOCK_STREAM, sendmsg } from '../../src/sendmsg/index.js'
import { assertGone, marked, pass, receive, unixKinds, unixPair } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'

for (const { kind, type } of unixKinds) {
  test(`a ${kind} socket that is full takes neither bytes nor descriptors; all that it took arrives once`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const [thing] = marked(t)
    assert.ok(thing)
    let sent = 0
    while (sendmsg(from, Buffer.from('x'), [rights([thing.near])]) !== null) sent++
    assert.ok(sent > 5, `${sent} messages fit`)
    let received = 0
    for (let message = recvmsg(to, 1, 100); message !== null; message = recvmsg(to, 1, 100)) {
      assert.deepEqual([`${message.data}`, message.flags], ['x', 0])
      assert.equal(closeDescriptors(message.ancillary), 1)
      received++
    }
    assert.equal(received, sent)
    thing.near.close()
    assertGone([thing])
  })
}

test('more bytes than a stream takes at once: the descriptors go with the short count, once, and the rest without them', (t) => {
  noLeak(t)
  const [from, to] = unixPair(t)
  const things = marked(t, 7)
  const payload = Buffer.alloc(16 * 1024 * 1024)
  for (let i = 0; i < payload.length; i += 4) payload.writeUInt32LE(i, i)
  const first = sendmsg(from, payload, [rights(things.map(({ near }) => near))])
  assert.ok(first !== null && first > 0 && first < payload.length, `a short count, ${first}`)
  for (const { near } of things) near.close()
  const got: Buffer[] = []
  const descriptors: number[] = []
  for (let sent = first, read = 0; read < payload.length; ) {
    for (let message = recvmsg(to, 65_536, 4096); message !== null; message = recvmsg(to, 65_536, 4096)) {
      got.push(message.data)
      read += message.data.length
      descriptors.push(closeDescriptors(message.ancillary))
    }
    assert.equal(read, sent, 'the peer gets exactly what was taken')
    if (sent < payload.length) sent += sendmsg(from, payload.subarray(sent)) ?? 0
  }
  assert.ok(Buffer.concat(got).equals(payload))
  assert.deepEqual(
    descriptors.filter((count) => count > 0),
    [7],
  )
  assert.equal(descriptors[0], 7, 'with the first bytes')
  assertGone(things)
})

for (const { kind, type } of unixKinds.filter((each) => each.type !== SOCK_STREAM)) {
  test(`a message larger than a ${kind} socket takes is EMSGSIZE, and its descriptors do not go`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const [thing] = marked(t)
    assert.ok(thing)
    assert.throws(() => sendmsg(from, Buffer.alloc(16 * 1024 * 1024), [rights([thing.near])]), { code: 'EMSGSIZE' })
    assert.equal(recvmsg(to, 10, 100), null)
    thing.near.close()
    assertGone([thing])
  })

  test(`messages with and without descriptors stay apart on a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const [thing] = marked(t)
    assert.ok(thing)
    pass(from, 'PRE', [])
    pass(from, 'AA', [thing])
    pass(from, 'POST', [])
    const reads = Array.from({ length: 3 }, () => receive(to))
    assert.deepEqual(
      reads.map(({ data, ancillary }) => [`${data}`, closeDescriptors(ancillary)]),
      [
        ['PRE', 0],
        ['AA', 1],
        ['POST', 0],
      ],
    )
    assertGone([thing])
  })
}

/** Sends on a stream, and tells what each read of so many bytes brings. */
function streamed(t: TestContext, sends: [bytes: string, descriptors: number][], rooms: number[]): unknown[] {
  const [from, to] = unixPair(t)
  const things = sends.map(([bytes, count]) => {
    const these = marked(t, count)
    pass(from, bytes, these)
    return these
  })
  const reads = rooms.map((room) => receive(to, 4096, room))
  const told = reads.map(({ data, ancillary }) => [`${data}`, closeDescriptors(ancillary)])
  for (const these of things) assertGone(these)
  return told
}

test('on a stream, bytes before those of a descriptor are read together with them, bytes behind are not', (t) => {
  noLeak(t)
  assert.deepEqual(
    streamed(
      t,
      [
        ['PRE', 0],
        ['AA', 1],
        ['POST', 0],
      ],
      [100, 100],
    ),
    [
      ['PREAA', 1],
      ['POST', 0],
    ],
  )
})

test('on a stream, two sends that both bring descriptors are not read together', (t) => {
  noLeak(t)
  assert.deepEqual(
    streamed(
      t,
      [
        ['AA', 1],
        ['BB', 2],
      ],
      [100, 100],
    ),
    [
      ['AA', 1],
      ['BB', 2],
    ],
  )
})

test('on a stream, a read that begins in the middle of one send goes on into the next, and brings its descriptors', (t) => {
  noLeak(t)
  assert.deepEqual(
    streamed(
      t,
      [
        ['AAAA', 1],
        ['BB', 2],
      ],
      [2, 100],
    ),
    [
      ['AA', 1],
      ['AABB', 2],
    ],
  )
})
