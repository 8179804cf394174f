/** Descriptors over UNIX sockets of every kind: what is sent arrives, once, in order, and is the receiver's to close. */
import assert from 'node:assert/strict'
import { closeSync, fstatSync } from 'node:fs'
import test from 'node:test'
import {
  close,
  closeDescriptors,
  dup,
  MSG_CTRUNC,
  MSG_PEEK,
  recvmsg,
  rights,
  SCM_RIGHTS,
  SOCK_STREAM,
  SOL_SOCKET,
  type SyscallError,
  sendmmsg,
  sendmsg,
  takeDescriptors,
} from '../../src/sendmsg/index.js'
import { assertGone, kindsOf, marked, pass, receive, spaceFor, unixKinds, unixPair } from '../support/control.js'
import { isCloseOnExec, noLeak } from '../support/descriptors.js'

const byte = Buffer.from('x')

/** Which file a descriptor leads to. */
const fileOf = (descriptor: number): number => fstatSync(descriptor).ino

for (const { kind, type } of unixKinds) {
  for (const count of [1, 4, 253]) {
    test(`${count} descriptors arrive in order with their byte, over a ${kind} socket`, (t) => {
      noLeak(t)
      const [from, to] = unixPair(t, type)
      const things = marked(t, count)
      const files = things.map(({ near }) => fileOf(near.fd))
      pass(from, 'x', things)
      const message = receive(to, spaceFor(count))
      assert.equal(message.data.toString(), 'x')
      assert.equal(message.flags & MSG_CTRUNC, 0)
      assert.deepEqual(kindsOf(message), [[SOL_SOCKET, SCM_RIGHTS]])
      const received = rights.from(message.ancillary)
      assert.deepEqual(received.map(fileOf), files)
      assert.ok(things.every((thing) => !thing.isGone()))
      for (const descriptor of received) close(descriptor)
      assertGone(things)
    })
  }

  test(`254 descriptors are refused, in one control message or two, and a ${kind} socket goes on working`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const [thing] = marked(t)
    assert.ok(thing)
    const many = (count: number) => rights(Array.from({ length: count }, () => thing.near))
    const refused = { name: 'RangeError', message: /at most 253 descriptors .* not 254; send the others with another/ }
    assert.throws(() => sendmsg(from, byte, [many(254)]), refused)
    assert.throws(() => sendmsg(from, byte, [many(200), many(54)]), refused)
    assert.throws(() => sendmmsg(from, [{ data: byte, ancillary: [many(254)] }]), refused)
    assert.equal(recvmsg(to), null, 'nothing was sent')
    assert.equal(sendmsg(from, byte, [many(253)]), 1)
    assert.equal(closeDescriptors(receive(to, spaceFor(253)).ancillary), 253)
    thing.near.close()
    assertGone([thing])
  })

  test(`two messages of descriptors arrive as one, all of them in order, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const things = marked(t, 3)
    const files = things.map(({ near }) => fileOf(near.fd))
    const [first, ...others] = things.map(({ near }) => near)
    assert.ok(first)
    assert.equal(sendmsg(from, byte, [rights([first]), rights(others)]), 1)
    const message = receive(to)
    const received = takeDescriptors(message.ancillary)
    assert.deepEqual(
      received.map(({ fd }) => fileOf(fd)),
      files,
    )
    if (process.platform === 'linux') assert.equal(message.ancillary.length, 1)
    for (const descriptor of [first, ...others, ...received]) descriptor.close()
    assertGone(things)
  })

  test(`an empty array of descriptors is none, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    assert.equal(sendmsg(from, byte, [rights([])]), 1)
    const message = receive(to)
    assert.equal(message.data.toString(), 'x')
    assert.deepEqual(rights.from(message.ancillary), [])
    assert.equal(message.flags & MSG_CTRUNC, 0)
  })

  test(`data that is no whole number of descriptors is refused before the call, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    for (const length of [1, 2, 3, 5, 7]) {
      assert.throws(() => sendmsg(from, byte, [[SOL_SOCKET, SCM_RIGHTS, Buffer.alloc(length)]]), {
        name: 'RangeError',
        message: `ancillary[0] data: whole descriptors of 4 bytes each, not ${length} bytes`,
      })
    }
    assert.equal(recvmsg(to), null)
  })

  test(`a descriptor that is not open is EBADF, and nothing at all is sent, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const [thing] = marked(t)
    assert.ok(thing)
    const stale = dup(thing.near).release()
    close(stale)
    assert.throws(() => sendmsg(from, byte, [rights([thing.near, stale])]), {
      code: 'EBADF',
      syscall: 'sendmsg',
    } satisfies Partial<SyscallError>)
    assert.throws(() => sendmsg(from, byte, [[SOL_SOCKET, SCM_RIGHTS, Buffer.from(Int32Array.of(-1).buffer)]]), {
      code: 'EBADF',
    })
    assert.equal(recvmsg(to, 10, 100), null)
    thing.near.close()
    assertGone([thing])
  })

  test(`every received descriptor is close-on-exec, whatever the flags say, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    for (const flags of [0, MSG_PEEK]) {
      const things = marked(t, 2)
      pass(from, 'x', things)
      const received = rights.from(receive(to, spaceFor(2), 10, flags).ancillary)
      assert.deepEqual(received.map(isCloseOnExec), [true, true])
      received.forEach(close)
      if (flags !== 0) closeDescriptors(receive(to).ancillary)
      assertGone(things)
    }
  })

  test(`each look with MSG_PEEK gives new copies to close, and the message stays, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const things = marked(t, 2)
    pass(from, 'once', things)
    const looks = [MSG_PEEK, MSG_PEEK, 0].map((flags) => receive(to, spaceFor(2), 10, flags))
    assert.deepEqual(
      looks.map(({ data }) => data.toString()),
      ['once', 'once', 'once'],
    )
    const numbers = looks.flatMap(({ ancillary }) => rights.from(ancillary))
    assert.equal(new Set(numbers).size, 6, 'six descriptors, each another')
    for (const { ancillary } of looks) {
      assert.ok(things.every((thing) => !thing.isGone()))
      assert.equal(closeDescriptors(ancillary), 2)
    }
    assertGone(things)
    assert.equal(recvmsg(to), null)
  })

  test(`the sender keeps what it sent: the receiver's copy lives on when it closes its own, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const [thing] = marked(t)
    assert.ok(thing)
    assert.equal(sendmsg(from, byte, [rights([thing.near.fd])]), 1)
    assert.ok(thing.near.fd >= 0 && fileOf(thing.near.fd) > 0)
    thing.near.close()
    assert.ok(!thing.isGone(), 'in flight')
    const [received] = takeDescriptors(receive(to).ancillary)
    assert.ok(received && !thing.isGone())
    received.close()
    assertGone([thing])
  })

  test(`descriptors that nobody received go with the ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const things = marked(t, 5)
    pass(from, 'x', things)
    assert.ok(things.every((thing) => !thing.isGone()))
    to.close()
    assertGone(things)
  })
}

test('descriptors without a byte are refused on a stream, where the kernel would drop them', (t) => {
  noLeak(t)
  const [from, to] = unixPair(t, SOCK_STREAM)
  const [thing] = marked(t)
  assert.ok(thing)
  const refused = {
    name: 'RangeError',
    message: 'data: at least one byte when descriptors go over a stream, or the kernel drops them; not 0 bytes',
  }
  for (const data of [Buffer.alloc(0), [], [Buffer.alloc(0), new Uint8Array(0)]]) {
    assert.throws(() => sendmsg(from, data, [rights([thing.near])]), refused)
  }
  assert.throws(() => sendmmsg(from, [{ data: [], ancillary: [rights([thing.near])] }]), {
    ...refused,
    message: `messages[0].${refused.message}`,
  })
  assert.equal(sendmsg(from, [Buffer.alloc(0), byte], [rights([thing.near])]), 1)
  assert.equal(closeDescriptors(receive(to).ancillary), 1)
  thing.near.close()
  assertGone([thing])
})

for (const { kind, type } of unixKinds.filter((each) => each.type !== SOCK_STREAM)) {
  test(`descriptors without a byte arrive over a ${kind} socket: it looks like the end, but for the ancillary data`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const things = marked(t, 2)
    pass(from, '', things)
    const message = receive(to, spaceFor(2))
    assert.equal(message.data.length, 0)
    assert.equal(message.ancillary.length, 1)
    assert.equal(closeDescriptors(message.ancillary), 2)
    assertGone(things)
    if (kind === 'seqpacket') {
      from.close()
      assert.deepEqual(receive(to), { data: Buffer.alloc(0), ancillary: [], flags: 0, address: null })
    }
  })
}

test('descriptors of any kind of file travel', (t) => {
  noLeak(t)
  const [from, to] = unixPair(t)
  const [stream, packets] = [unixPair(t), unixPair(t, unixKinds[2].type)]
  const files = [0, stream[0].fd, packets[0].fd, from.fd]
  assert.equal(sendmsg(from, byte, [rights(files)]), 1)
  const received = rights.from(receive(to).ancillary)
  assert.deepEqual(received.map(fileOf), files.map(fileOf))
  received.forEach((descriptor) => {
    closeSync(descriptor)
  })
})

test('the codec takes numbers and owners, and says which is neither', () => {
  const data = rights.encode([7, { fd: 300 }])
  assert.deepEqual(data, Buffer.from(Int32Array.of(7, 300).buffer))
  assert.deepEqual(rights.decode(data), [7, 300])
  assert.throws(() => rights(['7' as unknown as number]), { name: 'TypeError', message: /^descriptors\[0\]: / })
  assert.throws(() => rights([0, -1]), { name: 'RangeError', message: /^descriptors\[1\]: / })
  assert.throws(() => rights([{ fd: -1 }]), { code: 'EBADF' })
  assert.throws(() => rights(7 as unknown as number[]), { name: 'TypeError', message: /^descriptors: an iterable/ })
  assert.throws(() => rights('77' as unknown as number[]), { name: 'TypeError' })
})
