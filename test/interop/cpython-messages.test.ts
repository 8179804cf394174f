import assert from 'node:assert/strict'
import test from 'node:test'
import {
  type Buffers,
  type Bytes,
  closeDescriptors,
  MSG_EOR,
  MSG_PEEK,
  readable,
  recvmmsg,
  recvmsg,
  recvmsgInto,
  rights,
  SCM_RIGHTS,
  SOCK_STREAM,
  SOL_SOCKET,
  sendmmsg,
  sendmsg,
} from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { connectedPython, identity, interpreter, received, UNIX_KINDS } from '../support/python.js'

const found = interpreter('cpython')
const { skip } = found

/** Buffers in every form there is, and what they hold. */
function* forms(): Generator<[form: string, data: Buffers, text: string]> {
  const text = (from: string): Buffer => Buffer.from(from)
  const middle = new Uint8Array(text('..middle..')).subarray(2, 8)
  function* generated(): Generator<Bytes> {
    yield text('gene')
    yield text('rated')
  }
  yield ['one buffer', text('one'), 'one']
  yield ['several, empty ones among them', [text('a'), text(''), text('bc'), text('d')], 'abcd']
  yield ['a generator', generated(), 'generated']
  yield ['a slice and an ArrayBuffer', [middle, new Uint8Array([33]).buffer], 'middle!']
  yield [
    'numbers of 16 bits and a DataView',
    [new Uint16Array([0x6261]), new DataView(new Uint8Array([99]).buffer)],
    'abc',
  ]
  yield [
    '1024 buffers',
    Array.from({ length: 1024 }, (_, i) => Buffer.from([97 + (i % 26)])),
    Buffer.alloc(1024, 'abcdefghijklmnopqrstuvwxyz').toString(),
  ]
}

for (const [kind, type] of UNIX_KINDS) {
  test(`${kind}: buffers in any form reach Python as one message`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    for (const [form, data, text] of forms()) {
      assert.equal(sendmsg(ours, data), text.length, form)
      assert.deepEqual(await peer.run('channel.recvmsg(2000)[:2]'), [text, []], form)
    }
  })

  test(`${kind}: what Python gathers is scattered here, and what was not received stays`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    await peer.run(
      "channel.sendmsg([b'ab', bytearray(b'cde'), memoryview(b'..fg..')[2:4], b'', array.array('B', b'h')])",
    )
    await readable(ours)
    const [first, second, third] = [Buffer.from('123'), Buffer.from('456789'), Buffer.from('xyz')]
    const message = recvmsgInto(ours, [first, second.subarray(1, 4), third])
    assert.equal(message?.bytes, 8)
    assert.deepEqual([first, second, third].map(String), ['abc', '4def89', 'ghz'])
  })

  test(`${kind}: what we gather is scattered by Python, descriptors with it`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    sendmsg(ours, [Buffer.from('ab'), Buffer.from('cdefgh')], [rights([ours])])
    const theirs = await peer.run(`
      first, second, third = bytearray(b'123'), bytearray(b'456789'), bytearray(b'xyz')
      count, ancillary, flags, address = channel.recvmsg_into([first, memoryview(second)[1:4], third], 100)
      [count, first, second, third, [identity(fd) for fd in descriptors_in(ancillary)]]`)
    assert.deepEqual(theirs, [8, 'abc', '4def89', 'ghz', [identity(ours)]])
  })

  test(`${kind}: flags mean the same on both sides`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    assert.equal(recvmsg(ours), null)
    // A socket with a time limit would wait for that, whatever the flag says.
    const dontWait = 'channel.settimeout(None); channel.recvmsg(9, 0, socket.MSG_DONTWAIT)'
    await assert.rejects(peer.run(dontWait), { type: 'BlockingIOError', code: 'EAGAIN' })
    await peer.run("channel.sendmsg([b'abc'], [], socket.MSG_EOR)")
    assert.equal((await received(ours, 9, 0, MSG_PEEK)).data.toString(), 'abc')
    const { data, flags } = await received(ours, 9)
    // Linux marks no end of a record on UNIX sockets.
    assert.deepEqual([data.toString(), flags], ['abc', 0])
    sendmsg(ours, Buffer.from('def'), [], MSG_EOR)
    assert.deepEqual(await peer.run('[channel.recvmsg(9, 0, f)[0] for f in [socket.MSG_PEEK, socket.MSG_PEEK]]'), [
      'def',
      'def',
    ])
    assert.deepEqual(await peer.run('channel.recvmsg(9)[0:3:2]'), ['def', 0])
  })

  test(`${kind}: several messages in one call of ours are several to Python, and the other way`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const messages = ['a', 'bc', 'def'].map((text, i) => ({
      data: Buffer.from(text),
      ancillary: [rights(Array.from({ length: i + 1 }, () => ours))],
    }))
    assert.deepEqual(sendmmsg(ours, messages), [1, 2, 3])
    const theirs = await peer.run(
      'parts = [channel.recvmsg(9, 100) for i in range(3)]; [[data, len(descriptors_in(a))] for data, a, f, _ in parts]',
    )
    assert.deepEqual(theirs, [
      ['a', 1],
      ['bc', 2],
      ['def', 3],
    ])
    await peer.run("for i in range(3): channel.sendmsg([b'abc'[:i + 1]], [rights([0] * (i + 1))])")
    const all = recvmmsg(ours, 3, 9, 100) ?? []
    assert.deepEqual(
      all.map(({ data, ancillary }) => [data.toString(), closeDescriptors(ancillary)]),
      [
        ['a', 1],
        ['ab', 2],
        ['abc', 3],
      ],
    )
  })

  if (type !== SOCK_STREAM) {
    test(`${kind}: each message keeps its bounds, an empty one among them`, { skip }, async (t) => {
      noLeak(t)
      const { ours, peer } = connectedPython(t, found, type)
      await peer.run("for part in [b'a', b'', b'bc']: channel.sendmsg([part])")
      const parts = [await received(ours), await received(ours), await received(ours)]
      assert.deepEqual(
        parts.map(({ data }) => data.toString()),
        ['a', '', 'bc'],
      )
      for (const part of ['a', '', 'bc']) sendmsg(ours, Buffer.from(part))
      assert.deepEqual(await peer.run('[channel.recvmsg(9)[0] for i in range(3)]'), ['a', '', 'bc'])
    })
  }
}

test('what Python reports as an error of the kernel, we refuse before any call or report by the same name', {
  skip,
}, async (t) => {
  noLeak(t)
  const { ours, peer } = connectedPython(t, found)
  await assert.rejects(peer.run("channel.sendmsg([b'x'], [rights([0] * 254)])"), { type: 'OSError', code: 'EINVAL' })
  const tooMany = rights(Array.from({ length: 254 }, () => ours))
  assert.throws(() => sendmsg(ours, Buffer.from('x'), [tooMany]), RangeError)
  await assert.rejects(peer.run("channel.sendmsg([b'x'], [rights([1000000])])"), { type: 'OSError', code: 'EBADF' })
  assert.throws(() => sendmsg(ours, Buffer.from('x'), [rights([1_000_000])]), { code: 'EBADF' })
  await assert.rejects(peer.run("channel.sendmsg([b'x'], [(socket.SOL_SOCKET, 999, b'')])"), { code: 'EINVAL' })
  assert.throws(() => sendmsg(ours, Buffer.from('x'), [[SOL_SOCKET, 999, Buffer.alloc(0)]]), { code: 'EINVAL' })
  assert.throws(() => sendmsg(ours, Buffer.from('x'), [[SOL_SOCKET, SCM_RIGHTS, Buffer.alloc(5)]]), RangeError)
  await assert.rejects(peer.run('socket.socket().recvmsg(1)'), { code: 'ENOTCONN' })
  // Nothing of all that was sent, and both ends are usable.
  assert.equal(recvmsg(ours, 9, 100), null)
  sendmsg(ours, Buffer.from('fine'))
  assert.equal(await peer.run('channel.recvmsg(9)[0]'), 'fine')
})

test('a control message of a level that UNIX sockets know nothing of is passed over, from Python as from here', {
  skip,
}, async (t) => {
  noLeak(t)
  const { ours, peer } = connectedPython(t, found)
  await peer.run("channel.sendmsg([b'x'], [(socket.IPPROTO_IP, socket.IP_TTL, struct.pack('i', 3)), rights([0])])")
  const { data, ancillary } = await received(ours, 9, 200)
  assert.deepEqual([data.toString(), ancillary.length, closeDescriptors(ancillary)], ['x', 1, 1])
  sendmsg(ours, Buffer.from('y'), [[0, 2, Buffer.alloc(4)], rights([ours])])
  assert.deepEqual(await peer.run('data, a, f, _ = channel.recvmsg(9, 200); [data, len(a), len(descriptors_in(a))]'), [
    'y',
    1,
    1,
  ])
})
