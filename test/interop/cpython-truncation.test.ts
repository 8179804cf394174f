import assert from 'node:assert/strict'
import test from 'node:test'
import {
  CMSG_LEN,
  CMSG_SPACE,
  closeDescriptors,
  MSG_CTRUNC,
  MSG_TRUNC,
  recvmsg,
  recvmsgInto,
  rights,
  SOCK_STREAM,
  sendmsg,
  socketpair,
} from '../../src/sendmsg/index.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { connectedPython, interpreter, received, UNIX_KINDS } from '../support/python.js'

const found = interpreter('cpython')
const { skip } = found

/** Every size of the room for control messages, from none to more than three descriptors need. */
const SIZES = Array.from({ length: CMSG_SPACE(12) + 2 }, (_, size) => size)

/** What is told of a message: its bytes, the bytes of each control message, and whether some were cut off. */
type Shape = [data: string, lengths: number[], cutOff: boolean]

test('the sizes of control messages are those of Python', { skip }, async (t) => {
  noLeak(t)
  const { peer } = connectedPython(t, found)
  const lengths = [...SIZES, 1012, 65536, 0x7fffffff - CMSG_SPACE(8)]
  const theirs = await peer.run('[[socket.CMSG_LEN(n), socket.CMSG_SPACE(n)] for n in lengths]', { lengths })
  assert.deepEqual(
    lengths.map((length) => [CMSG_LEN(length), CMSG_SPACE(length)]),
    theirs,
  )
})

for (const [kind, type] of UNIX_KINDS) {
  test(`${kind}: with any room for control messages we receive what Python receives, and nothing leaks`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const [near, far] = socketpair(undefined, type)
    t.after(() => {
      near.close()
      far.close()
    })
    for (const size of SIZES) {
      for (const socket of [near, ours]) sendmsg(socket, Buffer.from('abc'), [rights([0, 1, 2])])
      const theirs = await peer.run<Shape>(
        `data, ancillary, flags, address = channel.recvmsg(9, size)
fds = descriptors_in(ancillary)
for fd in fds: os.close(fd)
[data, [len(item) for level, kind, item in ancillary], flags & socket.MSG_CTRUNC != 0]`,
        { size },
      )
      const before = openDescriptors().size
      const message = recvmsg(far, 9, size)
      assert.ok(message !== null)
      const { data, ancillary, flags } = message
      const lengths = ancillary.map(([, , { length }]) => length)
      const mine: Shape = [data.toString(), lengths, (flags & MSG_CTRUNC) !== 0]
      assert.deepEqual(mine, theirs, `room for ${size} bytes`)
      closeDescriptors(ancillary)
      assert.equal(openDescriptors().size, before, `room for ${size} bytes: all came to light`)
    }
  })

  test(`${kind}: of four descriptors of Python's, those there is room for arrive and the others are closed`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const room = [0, 1, CMSG_LEN(0) - 1, CMSG_LEN(0), CMSG_LEN(0) + 1, CMSG_LEN(4), CMSG_LEN(8) - 1, CMSG_LEN(12)]
    for (const size of room) {
      await peer.run(`
        pairs = [socket.socketpair() for i in range(4)]
        channel.sendmsg([b'abc'], [rights([b.fileno() for a, b in pairs])])
        for a, b in pairs:
            b.close()
            a.setblocking(False)`)
      const { data, ancillary, flags } = await received(ours, 9, size)
      const descriptors = rights.from(ancillary)
      assert.deepEqual([data.toString(), flags & MSG_CTRUNC], ['abc', MSG_CTRUNC], `room for ${size} bytes`)
      assert.equal(descriptors.length, Math.max(0, Math.floor((size - CMSG_LEN(0)) / 4)), `room for ${size} bytes`)
      const ended = `
        def ended(one):
            try: return one.recv(1) == b''
            except BlockingIOError: return False
        [ended(a) for a, b in pairs]`
      const open = await peer.run<boolean[]>(ended)
      assert.deepEqual(
        open,
        [0, 1, 2, 3].map((i) => i >= descriptors.length),
        'the surplus is closed, and nothing else',
      )
      closeDescriptors(ancillary)
      assert.deepEqual(await peer.run(ended), [true, true, true, true])
    }
  })

  test(`${kind}: a part of a descriptor that Python sends is no descriptor`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    for (const [length, whole] of [
      [1, 0],
      [3, 0],
      [5, 1],
      [7, 1],
      [11, 2],
    ] as const) {
      await peer.run(
        `level, kind, data = rights([0, 0, 0])
channel.sendmsg([b'abc'], [(level, kind, data.tobytes()[:length])])`,
        { length },
      )
      const before = openDescriptors().size
      const { data, ancillary } = await received(ours, 9, 100)
      assert.deepEqual([data.toString(), rights.from(ancillary).length], ['abc', whole], `${length} bytes`)
      assert.equal(closeDescriptors(ancillary), whole)
      assert.equal(openDescriptors().size, before, 'nothing is left')
    }
  })

  if (type === SOCK_STREAM) {
    test(`${kind}: what a receive has no room for comes with the next, without the descriptors, either way`, {
      skip,
    }, async (t) => {
      noLeak(t)
      const { ours, peer } = connectedPython(t, found, type)
      await peer.run("channel.sendmsg([b'abcdef'], [rights([0])])")
      const first = await received(ours, 4, 100)
      const second = await received(ours, 4, 100)
      assert.deepEqual([first.data.toString(), closeDescriptors(first.ancillary)], ['abcd', 1])
      assert.deepEqual([second.data.toString(), second.ancillary, second.flags & MSG_TRUNC], ['ef', [], 0])
      sendmsg(ours, Buffer.from('abcdef'), [rights([ours])])
      const theirs = await peer.run(
        'parts = [channel.recvmsg(4, 100) for i in range(2)]; [[p[0], len(p[1])] for p in parts]',
      )
      assert.deepEqual(theirs, [
        ['abcd', 1],
        ['ef', 0],
      ])
    })
    continue
  }

  test(`${kind}: of a message of Python's that is too long we get the start, MSG_TRUNC and every descriptor`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    await peer.run("for i in range(3): channel.sendmsg([b'abcdef'], [rights([0, 1])])")
    const cut = await received(ours, 4, 100)
    assert.deepEqual(
      [cut.data.toString(), cut.flags & MSG_TRUNC, closeDescriptors(cut.ancillary)],
      ['abcd', MSG_TRUNC, 2],
    )
    const asked = await received(ours, 4, 100, MSG_TRUNC)
    assert.deepEqual(
      [asked.data.toString(), asked.flags & MSG_TRUNC, closeDescriptors(asked.ancillary)],
      ['abcd', MSG_TRUNC, 2],
    )
    const room = Buffer.from('....')
    const into = recvmsgInto(ours, room, 100, MSG_TRUNC)
    assert.ok(into !== null)
    assert.deepEqual([room.toString(), into.bytes, closeDescriptors(into.ancillary)], ['abcd', 6, 2])
  })

  test(`${kind}: of a message of ours that is too long Python gets the start, MSG_TRUNC and every descriptor`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    sendmsg(ours, Buffer.from('abcdef'), [rights([ours, ours])])
    const theirs = await peer.run(`
      data, ancillary, flags, address = channel.recvmsg(4, 100)
      [data, flags & socket.MSG_TRUNC != 0, len(descriptors_in(ancillary))]`)
    assert.deepEqual(theirs, ['abcd', true, 2])
  })
}
