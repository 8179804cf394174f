/** Several messages in one call: each is what it would be alone, and the row ends where one cannot go or come. */
import assert from 'node:assert/strict'
import test from 'node:test'
import * as api from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { assertUsable, type Ends, packets, receiveAll, send, socketKinds } from '../support/socket-kinds.js'

const bytes = (text: string): Buffer => Buffer.from(text)

function message({ to }: Ends, data: api.Buffers, ancillary: api.ControlMessage[] = []): api.Message {
  return to === undefined ? { data, ancillary } : { data, ancillary, address: to }
}

/** Receives until nothing more comes, at most `count` in a call. */
async function receiveMany(
  socket: api.Descriptor,
  count: number,
  wanted: number,
  ...rest: [maxSize?: number, ancillarySize?: number, flags?: number]
): Promise<api.ReceivedMessage[]> {
  const all: api.ReceivedMessage[] = []
  while (all.length < wanted) {
    await api.readable(socket)
    const some = api.recvmmsg(socket, count, ...rest)
    assert.ok(some === null || (some.length > 0 && some.length <= count))
    all.push(...(some ?? []))
  }
  return all
}

for (const kind of socketKinds) {
  test(`each message of a row is counted by its bytes, and nothing is between them: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const rows = [bytes('one'), [bytes('t'), bytes('wo')], new Set([bytes('three')])]
    assert.deepEqual(api.sendmmsg(ends.left, new Set(rows.map((data) => message(ends, data)))), [3, 3, 5])
    if (kind.stream) assert.equal((await receiveAll(ends.right, 11)).toString(), 'onetwothree')
    else {
      const expected = ['one', 'two', 'three'].map((text) => ({
        data: bytes(text),
        ancillary: [],
        flags: 0,
        address: ends.from,
      }))
      assert.deepEqual(await receiveMany(ends.right, 10, 3, 100, 100), expected)
    }
    assert.equal(api.recvmmsg(ends.right, 1), null)
    await assertUsable(ends)
  })

  test(`as many messages as one call takes go with one call, or as many as there is room for: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const row = Array.from({ length: 1024 }, (_, i) => message(ends, new Uint16Array([i])))
    const counts = api.sendmmsg(ends.left, row)
    assert.ok(counts?.every((count) => count === 2))
    // TCP has room for all; UDP drops at the receiver what it has no room for, and says nothing.
    if (kind.family !== 'UNIX') assert.equal(counts.length, 1024)
    const numbers: number[] = []
    await api.readable(ends.right)
    for (let some = api.recvmmsg(ends.right, 1024, 2); some !== null; some = api.recvmmsg(ends.right, 1024, 2)) {
      numbers.push(...some.map(({ data }) => new Uint16Array(new Uint8Array(data).buffer)[0] as number))
      if (kind.stream && numbers.length < counts.length) await api.readable(ends.right)
    }
    if (kind.stream || kind.family === 'UNIX') assert.equal(numbers.length, counts.length)
    assert.ok(numbers.length > 0)
    assert.deepEqual(numbers, Array.from(numbers.keys()), 'in order, from the first')
    await assertUsable(ends)
  })
}

for (const kind of socketKinds.filter(({ family, stream }) => stream || family === 'UNIX')) {
  test(`a row that fills the socket is sent in part, the next is null, and what was sent arrives: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const row = Array.from({ length: 1024 }, (_, i) => message(ends, Buffer.alloc(30_000, i)))
    const counts = api.sendmmsg(ends.left, row)
    assert.ok(counts !== null && counts.length < 1024, `${counts?.length} were sent`)
    let sent = 0
    for (const count of counts) sent += count
    // A stream may have taken a part of the last one, and room for another may come meanwhile.
    for (let more = api.sendmmsg(ends.left, [message(ends, bytes('x'))]); more !== null; ) {
      assert.deepEqual(more, [1])
      sent++
      more = api.sendmmsg(ends.left, [message(ends, bytes('x'))])
    }
    let got = 0
    while (got < sent) for (const { data } of await receiveMany(ends.right, 16, 1)) got += data.length
    assert.equal(got, sent)
    await assertUsable(ends)
  })
}

for (const kind of socketKinds.filter(({ ends }) => ends)) {
  test(`at the end every message of a row is empty, behind those that were there: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    send(ends, bytes('last'))
    ends.left.close()
    const texts = async (): Promise<string[]> =>
      (await receiveMany(ends.right, 3, 3, 10, 100)).map(({ data, ancillary }) => `${data}${ancillary.length}`)
    assert.deepEqual((await texts()).slice(0, 3), ['last0', '0', '0'])
    assert.deepEqual(await texts(), ['0', '0', '0'])
    // The first may find the end for itself.
    assert.throws(() => {
      for (let i = 0; i < 3; i++) api.sendmmsg(ends.right, [{ data: bytes('x') }])
    }, /(EPIPE|ECONNRESET).*, sendmmsg/)
  })
}

for (const kind of packets) {
  test(`each message of a row is cut off by itself, and says so by itself: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    api.sendmmsg(
      ends.left,
      ['long one', 'ok', '', 'fits'].map((text) => message(ends, bytes(text))),
    )
    for (const flags of [api.MSG_PEEK, 0]) {
      const got = (await receiveMany(ends.right, flags === 0 ? 4 : 1, flags === 0 ? 4 : 1, 4, 0, flags)).map(
        (one) => [one.data.toString(), one.flags] as const,
      )
      const all = [
        ['long', api.MSG_TRUNC],
        ['ok', 0],
        ['', 0],
        ['fits', 0],
      ] as const
      assert.deepEqual(got, flags === 0 ? all : all.slice(0, 1))
    }
    api.sendmmsg(ends.left, [message(ends, bytes('long one')), message(ends, bytes('ok'))])
    const asked = await receiveMany(ends.right, 2, 2, 4, 0, api.MSG_TRUNC)
    assert.deepEqual(
      asked.map(({ data }) => data.toString()),
      ['long', 'ok'],
      'no byte beyond the room',
    )
  })

  test(`what one message meets ends the row before it, and is thrown when it is the first: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const tooLong = message(ends, Buffer.alloc(16 * 1024 * 1024))
    const fine = message(ends, bytes('fine'))
    assert.deepEqual(api.sendmmsg(ends.left, [fine, fine, tooLong, fine]), [4, 4])
    assert.throws(() => api.sendmmsg(ends.left, [tooLong, fine]), { code: 'EMSGSIZE', syscall: 'sendmmsg' })
    assert.equal((await receiveMany(ends.right, 10, 2)).length, 2)
    await assertUsable(ends)
  })
}

for (const kind of packets.filter(({ ends, name }) => !ends && !/connected|pair/.test(name))) {
  test(`each message of a row goes to its own address: ${kind.name}`, async (t) => {
    noLeak(t)
    const [first, second] = [await kind.pair(t), await kind.pair(t)]
    const row = [first, second, first].map((ends, i) => message(ends, bytes(`${i}`)))
    assert.deepEqual(api.sendmmsg(first.left, row), [1, 1, 1])
    const got = async ({ right }: Ends, count: number): Promise<unknown[]> =>
      (await receiveMany(right, 10, count)).map(({ data, address }) => [data.toString(), address])
    assert.deepEqual(await got(first, 2), [
      ['0', first.from],
      ['2', first.from],
    ])
    assert.deepEqual(await got(second, 1), [['1', first.from]])
  })
}

for (const kind of socketKinds.filter(({ family }) => family === 'UNIX')) {
  test(`each message of a row has its own descriptors: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    const [a, b] = api.socketpair()
    t.after(() => [a, b].map((end) => end.close()))
    const row = [[a], [], [b, a]].map((list, i) => {
      return message(ends, bytes(`${i}`), list.length === 0 ? [] : [api.rights(list)])
    })
    assert.deepEqual(api.sendmmsg(ends.left, row), [1, 1, 1])
    let text = ''
    const cookies: bigint[][] = []
    while (text.length < 3) {
      for (const { data, ancillary, flags } of await receiveMany(ends.right, 3, 1, 1, 1024)) {
        text += data
        assert.equal(flags, 0)
        const passed = api.takeDescriptors(ancillary)
        cookies.push(passed.map((descriptor) => api.getsockopt(descriptor, 'SO_COOKIE')))
        for (const descriptor of passed) descriptor.close()
      }
    }
    const [first, second] = [a, b].map((end) => api.getsockopt(end, 'SO_COOKIE')) as [bigint, bigint]
    assert.deepEqual([text, cookies], ['012', [[first], [], [second, first]]])
  })
}
