/** Bytes beside the stream, and bytes that are thrown away: out-of-band data, and MSG_TRUNC on a stream. */
import assert from 'node:assert/strict'
import test from 'node:test'
import * as api from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { assertUsable, fill, receive, receiveAll, send, socketKinds, streams } from '../support/socket-kinds.js'

const bytes = (text: string): Buffer => Buffer.from(text)
const tcp = streams.filter(({ family }) => family !== 'UNIX')
const linux = process.platform === 'linux'

for (const kind of tcp) {
  test(`urgent data is waited for and received beside the stream: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    assert.throws(() => api.recvmsg(ends.right, 1, 0, api.MSG_OOB), { code: 'EINVAL' })
    const waiting = api.urgent(ends.right)
    assert.equal(send(ends, bytes('abc!'), api.MSG_OOB), 4)
    await waiting
    const urgent = api.recvmsg(ends.right, 1, 0, api.MSG_OOB)
    assert.deepEqual([urgent?.data.toString(), urgent?.flags], ['!', api.MSG_OOB])
    assert.equal((await receiveAll(ends.right, 3)).toString(), 'abc')
    assert.equal(api.recvmsg(ends.right), null)
    await assertUsable(ends)
  })

  test(`with SO_OOBINLINE urgent data stays in the stream: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    api.setsockopt(ends.right, 'SO_OOBINLINE', true)
    send(ends, bytes('ab!'), api.MSG_OOB)
    send(ends, bytes('cd'))
    // A read stops before the mark.
    assert.equal((await receive(ends.right)).data.toString(), 'ab')
    assert.equal((await receiveAll(ends.right, 3)).toString(), '!cd')
  })

  test(`what MSG_TRUNC discards shows nothing of this process's memory: ${kind.name}`, { skip: !linux }, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    for (const size of [10, 5_000, 60_000]) {
      // Leave something in the memory that the next receive could get.
      for (let i = 0; i < 8; i++) {
        Buffer.allocUnsafe(size).fill('secret')
        send(ends, Buffer.alloc(size, 'secret'))
        await receiveAll(ends.right, size)
      }
      for (const receiveZeros of [
        () => api.recvmsg(ends.right, size, 0, api.MSG_TRUNC)?.data,
        () => {
          const got = api.recvmmsg(ends.right, 2, size, 0, api.MSG_TRUNC)
          return got === null ? undefined : Buffer.concat(got.map(({ data }) => data))
        },
      ]) {
        send(ends, Buffer.alloc(size, 'x'))
        let discarded = 0
        while (discarded < size) {
          await api.readable(ends.right)
          const data = receiveZeros()
          assert.ok(data !== undefined && data.length > 0 && data.every((byte) => byte === 0))
          discarded += data.length
        }
        assert.equal(discarded, size)
      }
      const room = Buffer.alloc(size, '.')
      send(ends, Buffer.alloc(size, 'x'))
      await api.readable(ends.right)
      const got = api.recvmsgInto(ends.right, room, 0, api.MSG_TRUNC)
      assert.ok(got !== null && got.bytes > 0 && room.every((byte) => byte === 0x2e))
      await receiveAll(ends.right, size - got.bytes)
    }
    await assertUsable(ends)
  })
}

/** Linux sends what is urgent over UDP and IPv6 as if it were not. */
const refusing = socketKinds.filter(({ stream, family }) => !stream && family !== 'INET6')

for (const kind of refusing) {
  test(`urgent data over what has none is an error, and nothing is sent: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    assert.throws(() => send(ends, bytes('!'), api.MSG_OOB), { code: /^E(OP)?NOTSUPP?$/ })
    assert.equal(api.recvmsg(ends.right), null)
    await assertUsable(ends)
  })
}

/** UDP is never full: what does not fit is dropped. */
const fillable = socketKinds.filter(({ family, stream }) => stream || family === 'UNIX')

for (const kind of fillable) {
  test(`a full socket takes nothing until the peer has read, and everything taken arrives: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const { to: address } = ends
    const message = address === undefined ? { data: bytes('x') } : { data: bytes('x'), address }
    const takenByAll = (): number[] => [
      send(ends, bytes('x')) ?? 0,
      send(ends, bytes('x'), api.MSG_DONTWAIT) ?? 0,
      ...(api.sendmmsg(ends.left, [message, message]) ?? []),
    ]
    let sent = fill(ends, 1000)
    // What TCP had taken may go on to the peer's buffer meanwhile, and leave room: until that is full too.
    for (let taken = takenByAll(); taken.some((count) => count > 0); taken = takenByAll()) {
      assert.notEqual(kind.family, 'UNIX')
      sent += taken.reduce((sum, count) => sum + count) + fill(ends, 1000)
    }
    let got = 0
    while (got < sent) got += (await receive(ends.right)).data.length
    assert.equal(got, sent)
    assert.equal(api.recvmsg(ends.right), null)
    await assertUsable(ends)
  })
}
