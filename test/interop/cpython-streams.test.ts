import assert from 'node:assert/strict'
import test from 'node:test'
import {
  accept,
  bind,
  CMSG_SPACE,
  closeDescriptors,
  connect,
  getsockname,
  listen,
  MSG_OOB,
  readable,
  recvmsg,
  rights,
  SHUT_WR,
  sendmsg,
  setsockopt,
  shutdown,
  socket,
  urgent,
  writable,
} from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import {
  connectedPython,
  identity,
  interpreter,
  ipFamilies,
  portOf,
  python,
  received,
  UNIX_KINDS,
} from '../support/python.js'

const found = interpreter('cpython')
const { skip } = found
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz'

test('stream: of more than the kernel holds at once, bytes and descriptors reach Python once', {
  skip,
}, async (t) => {
  noLeak(t)
  const { ours, peer } = connectedPython(t, found)
  const data = Buffer.alloc(1024 * 1024, ALPHABET)
  let sent = sendmsg(ours, data, [rights([ours])]) ?? 0
  assert.ok(sent > 0 && sent < data.length, 'one call took everything: nothing was shown')
  const reading = peer.run<[number, boolean, string[]]>(
    `whole, fds = bytearray(), []
while len(whole) < size:
  data, ancillary, flags, address = channel.recvmsg(size, 100)
  assert data and not flags & socket.MSG_CTRUNC
  whole += data
  fds += descriptors_in(ancillary)
[len(whole), whole == (alphabet.encode() * (size // 26 + 1))[:size], [identity(fd) for fd in fds]]`,
    { size: data.length, alphabet: ALPHABET },
  )
  while (sent < data.length) {
    const count = sendmsg(ours, data.subarray(sent))
    if (count === null) await writable(ours)
    else sent += count
  }
  assert.deepEqual(await reading, [data.length, true, [identity(ours)]])
})

test('stream: of more than the kernel holds at once, bytes and descriptors of Python arrive once', {
  skip,
}, async (t) => {
  noLeak(t)
  const { ours, peer } = connectedPython(t, found)
  const size = 1024 * 1024
  const first = await peer.run<number>(
    'text = (alphabet.encode() * (size // 26 + 1))[:size]; sent = channel.sendmsg([text], [rights([0])]); sent',
    { size, alphabet: ALPHABET },
  )
  assert.ok(first > 0 && first < size, 'one call took everything: nothing was shown')
  const sending = peer.run('while sent < size: sent += channel.sendmsg([text[sent:]])')
  const parts: Buffer[] = []
  let total = 0
  let descriptors = 0
  while (total < size) {
    const { data, ancillary } = await received(ours, 100_000, CMSG_SPACE(4))
    assert.ok(data.length > 0, 'the end came early')
    parts.push(data)
    total += data.length
    descriptors += closeDescriptors(ancillary)
  }
  await sending
  assert.deepEqual([Buffer.concat(parts).equals(Buffer.alloc(size, ALPHABET)), descriptors], [true, 1])
})

test('stream: bytes before a descriptor are read together with its own, either way', { skip }, async (t) => {
  noLeak(t)
  const { ours, peer } = connectedPython(t, found)
  await peer.run("channel.sendmsg([b'PRE']); channel.sendmsg([b'AA'], [rights([0])]); channel.sendmsg([b'POST'])")
  const ownParts = [await received(ours, 99, 100), await received(ours, 99, 100)]
  assert.deepEqual(
    ownParts.map(({ data, ancillary }) => [data.toString(), closeDescriptors(ancillary)]),
    [
      ['PREAA', 1],
      ['POST', 0],
    ],
  )
  sendmsg(ours, Buffer.from('PRE'))
  sendmsg(ours, Buffer.from('AA'), [rights([ours])])
  sendmsg(ours, Buffer.from('POST'))
  const theirs = await peer.run(
    'parts = [channel.recvmsg(99, 100) for i in range(2)]; [[p[0], len(p[1])] for p in parts]',
  )
  assert.deepEqual(theirs, [
    ['PREAA', 1],
    ['POST', 0],
  ])
})

for (const [kind, type] of UNIX_KINDS.filter(([name]) => name !== 'datagram')) {
  test(`${kind}: the end is an empty message without control messages, either way`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    shutdown(ours, SHUT_WR)
    assert.deepEqual(await peer.run('channel.recvmsg(9, 100)[:2]'), ['', []])
    await peer.run('channel.close()')
    const { data, ancillary } = await received(ours, 9, 100)
    assert.deepEqual([data.length, ancillary], [0, []])
    assert.throws(() => sendmsg(ours, Buffer.from('x')), { code: 'EPIPE', syscall: 'sendmsg' })
  })
}

test('a full socket takes more once the other side has read: null here, BlockingIOError in Python', {
  skip,
}, async (t) => {
  noLeak(t)
  const { ours, peer } = connectedPython(t, found)
  setsockopt(ours, 'SO_SNDBUF', 4096)
  const part = Buffer.alloc(1000)
  let sent = 0
  for (let count = sendmsg(ours, part); count !== null; count = sendmsg(ours, part)) sent += count
  await peer.run('left = size\nwhile left > 0: left -= len(channel.recvmsg(left)[0])', { size: sent })
  await writable(ours)
  assert.equal(sendmsg(ours, Buffer.from('x')), 1)

  const filled = 'sent = 0; channel.setblocking(False)\nwhile True: sent += channel.sendmsg([bytes(1000)])'
  await assert.rejects(peer.run(filled), { type: 'BlockingIOError' })
  let read = 0
  for (let message = recvmsg(ours); message !== null; message = recvmsg(ours)) read += message.data.length
  assert.deepEqual(await peer.run("[sent, channel.sendmsg([b'x'])]"), [read, 1])
})

for (const family of ipFamilies(found)) {
  const { version, loopback } = family

  test(`${version}: a TCP connection of Python's and one to it carry bytes, urgent ones and the end`, {
    skip: family.skip,
  }, async (t) => {
    noLeak(t)
    const listener = socket(family.family)
    t.after(() => listener.close())
    bind(listener, { address: loopback, port: 0 })
    listen(listener)
    const peer = python(t, found)
    const port = await peer.run<number>(
      `l = socket.create_server((loopback, 0), family=family); l.settimeout(10)
c = socket.create_connection((loopback, port), 10); c.sendmsg([b'one', b'two']); c.send(b'!', socket.MSG_OOB)
l.getsockname()[1]`,
      { loopback, family: family.family, port: portOf(getsockname(listener)) },
    )
    await readable(listener)
    const accepted = accept(listener)
    assert.ok(accepted !== null)
    t.after(() => accepted.descriptor.close())
    await urgent(accepted.descriptor)
    assert.equal(recvmsg(accepted.descriptor, 1, 0, MSG_OOB)?.data.toString(), '!')
    assert.equal((await received(accepted.descriptor)).data.toString(), 'onetwo')

    const client = socket(family.family)
    t.after(() => client.close())
    connect(client, { address: loopback, port })
    await writable(client)
    sendmsg(client, [Buffer.from('three'), Buffer.from('four')])
    sendmsg(client, Buffer.from('!'), [], MSG_OOB)
    shutdown(client, SHUT_WR)
    const theirs = await peer.run(`
      import select
      a, address = l.accept()
      a.settimeout(10)
      whole = b''
      while len(whole) < 9: whole += a.recvmsg(9)[0]
      select.select([], [], [a], 10)
      [whole, a.recv(1, socket.MSG_OOB), a.recvmsg(9)[0]]`)
    assert.deepEqual(theirs, ['threefour', '!', ''])
  })
}
