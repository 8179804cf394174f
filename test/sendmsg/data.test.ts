/** Bytes through every kind of socket: what is sent arrives, whole where there is room, and nothing else shows. */
import assert from 'node:assert/strict'
import test from 'node:test'
import * as api from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { packets, receive, receiveAll, send, socketKinds, streams } from '../support/socket-kinds.js'

const bytes = (text: string): Buffer => Buffer.from(text)

function shared(text: string): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(text.length)
  new Uint8Array(memory).set(bytes(text))
  return memory
}

const text = 'a message!16byte'
const whole = new Uint8Array(bytes(text)).buffer
/** The same text in every shape that data may have. */
const shapes: [name: string, data: () => api.Buffers][] = [
  ['a Buffer', () => bytes(text)],
  ['an ArrayBuffer', () => whole],
  ['a SharedArrayBuffer', () => shared(text)],
  ['a view of shared memory', () => new Uint8Array(shared(`..${text}..`), 2, text.length)],
  ['a Uint8ClampedArray', () => new Uint8ClampedArray(whole)],
  ['an Int16Array', () => new Int16Array(whole)],
  ['a Float64Array', () => new Float64Array(whole)],
  ['a BigUint64Array', () => new BigUint64Array(whole)],
  ['a DataView', () => new DataView(whole)],
  ['a slice of a larger buffer', () => bytes(`..${text}..`).subarray(2, 2 + text.length)],
  ['an array of one buffer', () => [whole]],
  ['several buffers, some empty', () => [bytes('a mess'), bytes(''), new DataView(whole, 6, 4), whole.slice(10)]],
  ['a Set', () => new Set([bytes('a message!'), bytes('16byte')])],
  [
    'a generator of as many buffers as go into one message',
    function* () {
      for (let i = 0; i < 1024; i++) yield bytes(text.slice(i, i + 1))
    },
  ],
]

for (const kind of socketKinds) {
  test(`data of every shape arrives as its bytes, with no flag and no control message: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    for (const [shape, data] of shapes) {
      for (const ancillary of [undefined, []]) {
        assert.equal(send(ends, data(), 0, ancillary), text.length, shape)
        const { from: address } = ends
        assert.deepEqual(
          await receive(ends.right, undefined, 1024),
          { data: bytes(text), ancillary: [], flags: 0, address },
          shape,
        )
      }
    }
  })

  test(`where nothing is there every receive is null: ${kind.name}`, async (t) => {
    noLeak(t)
    const { right } = await kind.pair(t)
    for (const flags of [0, api.MSG_DONTWAIT, api.MSG_PEEK, api.MSG_WAITALL]) {
      assert.equal(api.recvmsg(right, 1, 256, flags), null)
      assert.equal(api.recvmsgInto(right, bytes('x'), 256, flags), null)
      assert.equal(api.recvmmsg(right, 2, 1, 256, flags), null)
    }
  })

  test(`a peek leaves the message there: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    send(ends, bytes('hello'))
    assert.equal((await receive(ends.right, 2, 0, api.MSG_PEEK)).data.toString(), 'he')
    const room = Buffer.alloc(5)
    assert.equal(api.recvmsgInto(ends.right, room, 0, api.MSG_PEEK)?.bytes, 5)
    assert.equal(room.toString(), 'hello')
    assert.equal(api.recvmsg(ends.right)?.data.toString(), 'hello')
    assert.equal(api.recvmsg(ends.right), null)
  })

  test(`buffers are filled one after the other, and what is around them stays: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const middle = bytes('[..........]')
    const last = Buffer.alloc(9, '-')
    const first = new Uint32Array(1)
    send(ends, bytes('ABCDefghijklmnop'))
    await api.readable(ends.right)
    const got = api.recvmsgInto(ends.right, [first, new DataView(middle.buffer, middle.byteOffset + 1, 10), last], 64)
    assert.deepEqual(got, { bytes: 16, ancillary: [], flags: 0, address: ends.from })
    assert.deepEqual(
      [Buffer.from(first.buffer).toString(), middle.toString(), last.toString()],
      ['ABCD', '[efghijklmn]', 'op-------'],
    )
  })

  test(`what was received stays as it is while more is received: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const got: [sent: Buffer, received: Buffer][] = []
    for (const size of [1, 1000, 1024, 1025, 30_000, 33_000, 60_000, 1]) {
      for (const room of [size, 65_536, 200_000]) {
        const sent = Buffer.alloc(size, got.length + 1)
        assert.equal(send(ends, sent), size)
        // On a stream the rest of it may come later.
        const received = kind.stream ? await receiveAll(ends.right, size) : (await receive(ends.right, room)).data
        got.push([sent, received])
      }
    }
    for (const [sent, received] of got) assert.ok(sent.equals(received))
  })

  test(`waiting for all of it waits for nothing that is not there: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    send(ends, bytes('abc'))
    const { data, flags } = await receive(ends.right, 10, 0, api.MSG_WAITALL)
    assert.deepEqual([data.toString(), flags], ['abc', 0])
  })

  test(`what is sent with more to come arrives with the rest: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const joined = kind.stream || kind.family !== 'UNIX'
    assert.equal(send(ends, bytes('ab'), api.MSG_MORE), 2)
    assert.equal(send(ends, bytes('cd')), 2)
    if (kind.stream) assert.equal((await receiveAll(ends.right, 4)).toString(), 'abcd')
    else assert.equal((await receive(ends.right)).data.toString(), joined ? 'abcd' : 'ab')
  })
}

for (const kind of socketKinds.filter(({ ends }) => ends)) {
  test(`at the end there are no data and no control messages, again and again: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    send(ends, bytes('last'))
    ends.left.close()
    assert.equal((await receive(ends.right, undefined, 256)).data.toString(), 'last')
    const nothing = { ancillary: [], flags: 0, address: null }
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await receive(ends.right, 100, 256), { data: bytes(''), ...nothing })
      assert.deepEqual(api.recvmsgInto(ends.right, bytes('x'), 256), { bytes: 0, ...nothing })
    }
    assert.throws(() => {
      for (let i = 0; i < 3; i++) api.sendmsg(ends.right, bytes('x'), undefined, 0, ends.back)
    }, /EPIPE|ECONNRESET/)
  })
}

for (const kind of streams) {
  test(`one message may be received in parts: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    send(ends, bytes('hello world'))
    const { data, flags } = await receive(ends.right, 6)
    assert.deepEqual([data.toString(), flags], ['hello ', 0])
    assert.equal((await receive(ends.right)).data.toString(), 'world')
  })

  test(`16 MiB at once are taken in part, and exactly that part arrives: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const much = Buffer.alloc(16 * 1024 * 1024)
    for (let i = 0; i < much.length; i += 4) much.writeUInt32LE(i, i)
    const taken = send(ends, much) as number
    assert.ok(taken > 0 && taken < much.length, `${taken} bytes`)
    assert.ok((await receiveAll(ends.right, taken)).equals(much.subarray(0, taken)))
    assert.equal(api.recvmsg(ends.right), null)
  })
}

for (const kind of packets) {
  test(`a message longer than the room for it is cut off and says so: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    for (const [room, expected, flags] of [
      [5, 'hello', 0],
      [6, 'hello', 0],
      [4, 'hell', api.MSG_TRUNC],
      [1, 'h', api.MSG_TRUNC],
      [0, '', api.MSG_TRUNC],
    ] as const) {
      send(ends, bytes('hello'))
      const got = await receive(ends.right, room)
      assert.deepEqual([got.data.toString(), got.flags], [expected, flags], `${room} bytes of room`)
      assert.equal(api.recvmsg(ends.right), null, 'the rest is gone')
    }
  })

  test(`asked with MSG_TRUNC a message tells its length, and no byte that it does not have: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const room = bytes('........')
    send(ends, bytes('hello world'))
    await api.readable(ends.right)
    const got = api.recvmsgInto(ends.right, [room.subarray(0, 3), room.subarray(4, 6)], 0, api.MSG_TRUNC)
    assert.deepEqual([got?.bytes, got?.flags, room.toString()], [11, api.MSG_TRUNC, 'hel.lo..'])
    send(ends, bytes('hello world'))
    assert.equal((await receive(ends.right, 5, 0, api.MSG_TRUNC)).data.toString(), 'hello')
    send(ends, bytes('hello'))
    assert.equal((await receive(ends.right, 4096, 0, api.MSG_TRUNC)).data.toString(), 'hello')
  })

  test(`an empty message arrives as one: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    for (const nothing of [bytes(''), [], [bytes(''), bytes('')]]) {
      assert.equal(send(ends, nothing), 0)
      const expected = { data: bytes(''), ancillary: [], flags: 0, address: ends.from }
      assert.deepEqual(await receive(ends.right), expected)
      assert.equal(api.recvmsg(ends.right), null)
    }
  })

  test(`a message that cannot go whole is refused, and nothing of it goes: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    assert.throws(() => send(ends, Buffer.alloc(16 * 1024 * 1024)), { code: 'EMSGSIZE', syscall: 'sendmsg' })
    assert.equal(api.recvmsg(ends.right), null)
  })
}
