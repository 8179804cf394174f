import assert from 'node:assert/strict'
import test from 'node:test'
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  CMSG_SPACE,
  getSocketFamily,
  recvmsg,
  rights,
  SCM_RIGHTS,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  sendmsg,
  socket,
  socketpair,
  takeDescriptors,
} from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { connectedPython, identity, interpreter, type Python, received, UNIX_KINDS } from '../support/python.js'

const found = interpreter('twisted')
const { skip } = found

async function connected(
  t: Parameters<typeof connectedPython>[0],
  type?: number,
): Promise<ReturnType<typeof connectedPython>> {
  const { ours, peer } = connectedPython(t, found, type)
  await peer.run('from twisted.python.sendmsg import getSocketFamily, recvmsg, sendmsg, SCM_RIGHTS')
  return { ours, peer }
}

/** Both sides refuse, by the same name. */
async function bothRefuse(peer: Python, theirs: string, mine: () => unknown, code: string): Promise<void> {
  await assert.rejects(peer.run(theirs), { code })
  assert.throws(mine, { code })
}

for (const [kind, type] of UNIX_KINDS) {
  test(`${kind}: bytes without descriptors go both ways, and each side is told their number`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = await connected(t, type)
    assert.equal(await peer.run("sendmsg(channel, b'from Twisted')"), 12)
    const { data, ancillary, flags } = await received(ours)
    assert.deepEqual([data.toString(), ancillary, flags], ['from Twisted', [], 0])
    assert.equal(sendmsg(ours, Buffer.from('from Node'), []), 9)
    assert.deepEqual(await peer.run('recvmsg(channel)'), ['from Node', [], 0])
  })

  test(`${kind}: descriptors of Twisted's arrive in order and lead to the same open files`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = await connected(t, type)
    const theirs = await peer.run<string[]>(`
      reader, writer = os.pipe2(os.O_NONBLOCK)
      packed = [struct.pack('i', fd) for fd in (writer, reader)]
      told = [identity(fd) for fd in (writer, reader)]
      sendmsg(channel, b'two', [(socket.SOL_SOCKET, SCM_RIGHTS, data) for data in packed])
      os.close(writer)
      told`)
    const { data, ancillary } = await received(ours, 99, CMSG_SPACE(8))
    const [writer, reader] = takeDescriptors(ancillary)
    assert.ok(writer && reader)
    t.after(() => reader.close())
    assert.deepEqual([data.toString(), identity(writer), identity(reader)], ['two', ...theirs])
    writer.close()
    assert.equal(await peer.run('os.read(reader, 9)'), '', 'no copy is left')
  })

  test(`${kind}: 253 descriptors of ours reach Twisted in order, in the room it keeps by default`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = await connected(t, type)
    const pairs = Array.from({ length: 127 }, () => socketpair()).flat()
    t.after(() => {
      for (const one of pairs) one.close()
    })
    const sent = pairs.slice(0, 253)
    sendmsg(ours, Buffer.from('many'), [rights(sent)])
    const [data, theirs, flags] = await peer.run<[string, string[], number]>(
      'message = recvmsg(channel); [message.data, [identity(fd) for fd in descriptors_in(message.ancillary)], message.flags]',
    )
    assert.deepEqual([data, theirs, flags], ['many', sent.map(identity), 0])
  })

  test(`${kind}: Twisted writes to a descriptor of ours and closes it: we read that, and then the end`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = await connected(t, type)
    const [kept, sent] = socketpair()
    t.after(() => kept.close())
    sendmsg(ours, Buffer.from('x'), [rights([sent])])
    sent.close()
    await peer.run("[fd] = descriptors_in(recvmsg(channel).ancillary); os.write(fd, b'hello'); os.close(fd)")
    assert.equal((await received(kept)).data.toString(), 'hello')
    assert.equal((await received(kept)).data.length, 0)
  })

  test(`${kind}: where there is room for fewer descriptors, both sides take those and close the rest`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = await connected(t, type)
    const [kept, sent] = socketpair()
    t.after(() => kept.close())
    sendmsg(ours, Buffer.from('x'), [rights([ours, ours, sent])])
    sent.close()
    // CMSG_SPACE is Twisted's business: room for one admits two.
    const [theirs, cut] = await peer.run<[number, boolean]>(`
      message = recvmsg(channel, cmsgSize=4)
      [len(descriptors_in(message.ancillary)), message.flags & socket.MSG_CTRUNC != 0]`)
    assert.deepEqual([theirs, cut], [2, true])
    assert.equal((await received(kept)).data.length, 0, 'the third is closed')
    const packed = "struct.pack('3i', 0, 1, 2)"
    await peer.run(`sendmsg(channel, b'x', [(socket.SOL_SOCKET, SCM_RIGHTS, ${packed})])`)
    const taken = takeDescriptors((await received(ours, 9, CMSG_SPACE(4))).ancillary)
    for (const one of taken) one.close()
    assert.equal(taken.length, 2)
  })
}

test('a family is told of every descriptor, as Twisted tells it', { skip }, async (t) => {
  noLeak(t)
  const { ours, peer } = await connected(t)
  for (const family of [AF_INET, AF_INET6, AF_UNIX]) {
    for (const type of [SOCK_STREAM, SOCK_DGRAM]) {
      const made = socket(family, type)
      sendmsg(ours, Buffer.from('x'), [rights([made])])
      const told = await peer.run(
        '[fd] = descriptors_in(recvmsg(channel).ancillary); made = socket.socket(fileno=fd); told = getSocketFamily(made); made.close(); told',
      )
      assert.deepEqual([getSocketFamily(made), told], [family, family])
      made.close()
    }
    await peer.run(
      'made = socket.socket(family); sendmsg(channel, b"x", [(socket.SOL_SOCKET, SCM_RIGHTS, struct.pack("i", made.fileno()))])',
      { family },
    )
    const [copy] = takeDescriptors((await received(ours, 9, 100)).ancillary)
    assert.equal(copy && getSocketFamily(copy), family)
    copy?.close()
  }
})

test('a closed socket and a bad descriptor are refused to Twisted and to us by the same name', { skip }, async (t) => {
  noLeak(t)
  const { ours, peer } = await connected(t)
  const [closed, other] = socketpair()
  other.close()
  closed.close()
  const gone = 'gone = socket.socket(socket.AF_UNIX); gone.close();'
  const bad = [SOL_SOCKET, SCM_RIGHTS, Buffer.from(Int32Array.of(-1).buffer)] as const
  await bothRefuse(peer, `${gone} sendmsg(gone, b'x')`, () => sendmsg(closed, Buffer.from('x')), 'EBADF')
  await bothRefuse(
    peer,
    `${gone} sendmsg(gone, b'x', [(socket.SOL_SOCKET, SCM_RIGHTS, b'1234')])`,
    () => sendmsg(closed, Buffer.from('x'), [rights([ours])]),
    'EBADF',
  )
  await bothRefuse(peer, `${gone} recvmsg(gone)`, () => recvmsg(closed), 'EBADF')
  await bothRefuse(
    peer,
    "sendmsg(channel, b'x', [(socket.SOL_SOCKET, SCM_RIGHTS, struct.pack('i', -1))])",
    () => sendmsg(ours, Buffer.from('x'), [bad]),
    'EBADF',
  )
})

test('what does not fit is sent in part, and the other side gets exactly that part', { skip }, async (t) => {
  noLeak(t)
  const { ours, peer } = await connected(t)
  const size = 16 * 1024 * 1024
  const sent = await peer.run<number>("channel.setblocking(False); sendmsg(channel, b'a' * size)", { size })
  assert.ok(sent > 0 && sent < size)
  await assert.rejects(peer.run('sendmsg(channel, b"a" * size, flags=socket.MSG_DONTWAIT)'), { code: 'EAGAIN' })
  let got = 0
  for (let part = recvmsg(ours); part !== null; part = recvmsg(ours)) got += part.data.length
  assert.equal(got, sent)
  const mine = sendmsg(ours, Buffer.alloc(size, 'b'))
  assert.ok(mine !== null && mine > 0 && mine < size)
  assert.equal(sendmsg(ours, Buffer.alloc(size)), null)
  const read = await peer.run(`
    total = 0
    try:
        while True: total += len(recvmsg(channel).data)
    except BlockingIOError: pass
    total`)
  assert.equal(read, mine)
})
