import assert from 'node:assert/strict'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import {
  CMSG_SPACE,
  closeDescriptors,
  type Descriptor,
  MSG_CTRUNC,
  MSG_PEEK,
  recvmsg,
  rights,
  SCM_RIGHTS,
  SOCK_STREAM,
  SOL_SOCKET,
  sendmsg,
  socketpair,
  takeDescriptors,
} from '../../src/sendmsg/index.js'
import { isCloseOnExec, noLeak } from '../support/descriptors.js'
import { scratch } from '../support/paths.js'
import { connectedPython, identity, interpreter, received, UNIX_KINDS } from '../support/python.js'

const found = interpreter('cpython')
const { skip } = found
const MOST = 253

const FROM_PYTHON = [
  ['sendmsg', "channel.sendmsg([b'x'], [rights(sent)])"],
  ['send_fds', "socket.send_fds(channel, [b'x'], sent)"],
] as const

/** Each leaves the descriptors in `fds`. */
const INTO_PYTHON = [
  ['recvmsg', 'fds = descriptors_in(channel.recvmsg(1, socket.CMSG_SPACE(4 * most))[1])'],
  ['recvmsg_into', 'fds = descriptors_in(channel.recvmsg_into([bytearray(1)], socket.CMSG_SPACE(4 * most))[1])'],
  ['recv_fds', 'fds = socket.recv_fds(channel, 1, most)[1]'],
] as const

/** Distinct sockets, in an order that shows in their identities. */
function manySockets(t: { after(hook: () => void): void }, count: number): Descriptor[] {
  const sockets: Descriptor[] = []
  t.after(() => {
    for (const one of sockets) one.close()
  })
  while (sockets.length < count) sockets.push(...socketpair())
  return sockets.slice(0, count)
}

for (const [kind, type] of UNIX_KINDS) {
  test(`${kind}: a descriptor that Python receives leads to the same open file`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const file = openSync(join(scratch(t), 'file'), 'w+')
    t.after(() => closeSync(file))
    for (const [call, code] of INTO_PYTHON) {
      const offset = writeSync(file, call)
      assert.equal(sendmsg(ours, Buffer.from('x'), [rights([file])]), 1)
      // The offset is of the open file: another file with the same name would be at its start.
      const [itsIdentity, itsOffset] = await peer.run<[string, number]>(
        `${code}
[fd] = fds
seen = [identity(fd), os.lseek(fd, 0, os.SEEK_CUR)]
os.lseek(fd, 0, os.SEEK_SET)
os.close(fd)
seen`,
        { most: 1 },
      )
      assert.deepEqual([itsIdentity, itsOffset], [identity({ fd: file }), offset], call)
    }
  })

  test(`${kind}: a descriptor that Python sends leads to the same open file, and is close-on-exec`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const path = join(scratch(t), 'file')
    for (const [call, code] of FROM_PYTHON) {
      const its = await peer.run<string>(
        `file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC); sent = [file]; ${code}; identity(file)`,
        { path },
      )
      const { data, ancillary, flags } = await received(ours, 100, CMSG_SPACE(4))
      const [file, ...others] = takeDescriptors(ancillary)
      assert.ok(file !== undefined && others.length === 0, call)
      assert.deepEqual([data.toString(), flags & MSG_CTRUNC, identity(file)], ['x', 0, its])
      assert.ok(isCloseOnExec(file.fd))
      writeSync(file.fd, 'written by us')
      file.close()
      assert.deepEqual(
        await peer.run('seen = [os.lseek(file, 0, os.SEEK_CUR), os.pread(file, 99, 0)]; os.close(file); seen'),
        [13, 'written by us'],
      )
    }
  })

  test(`${kind}: ${MOST} descriptors reach Python in order`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const sockets = manySockets(t, MOST)
    for (const [call, code] of INTO_PYTHON) {
      assert.equal(sendmsg(ours, Buffer.from('x'), [rights(sockets)]), 1)
      const theirs = await peer.run<string[]>(
        `before = open_count()
${code}
seen = [identity(fd) for fd in fds]
for fd in fds: os.close(fd)
assert open_count() == before
seen`,
        { most: MOST },
      )
      assert.deepEqual(theirs, sockets.map(identity), call)
    }
  })

  test(`${kind}: ${MOST} descriptors of Python's arrive in order`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const theirs = await peer.run<string[]>(
      'held = [one for i in range(most) for one in socket.socketpair()][:most]; [identity(one.fileno()) for one in held]',
      { most: MOST },
    )
    for (const [call, code] of FROM_PYTHON) {
      await peer.run(`sent = [one.fileno() for one in held]; ${code}`)
      const { ancillary, flags } = await received(ours, 1, CMSG_SPACE(4 * MOST))
      const descriptors = takeDescriptors(ancillary)
      assert.deepEqual([descriptors.map(identity), flags & MSG_CTRUNC], [theirs, 0], call)
      for (const one of descriptors) one.close()
    }
  })

  test(`${kind}: the descriptors of two control messages reach Python in order`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const sockets = manySockets(t, 3)
    sendmsg(ours, Buffer.from('x'), [rights(sockets.slice(0, 1)), rights(sockets.slice(1))])
    const theirs = await peer.run<string[]>(
      'ancillary = channel.recvmsg(1, 100)[1]; [identity(fd) for fd in descriptors_in(ancillary)]',
    )
    assert.deepEqual(theirs, sockets.map(identity))
  })

  test(`${kind}: the descriptors of two control messages of Python's arrive in order`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const theirs = await peer.run<string[]>(`
      a, b = socket.socketpair()
      fds = [a.fileno(), b.fileno(), 0]
      channel.sendmsg([b'x'], [rights(fds[:1]), rights(fds[1:])])
      [identity(fd) for fd in fds]`)
    const descriptors = takeDescriptors((await received(ours, 1, 100)).ancillary)
    t.after(() => {
      for (const one of descriptors) one.close()
    })
    assert.deepEqual(descriptors.map(identity), theirs)
  })

  test(`${kind}: what Python writes to a descriptor arrives, and its end once Python has closed it`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const [kept, sent] = socketpair()
    t.after(() => kept.close())
    sendmsg(ours, Buffer.from('x'), [rights([sent])])
    sent.close()
    await peer.run('[fd] = descriptors_in(channel.recvmsg(1, socket.CMSG_SPACE(4))[1])')
    assert.equal(recvmsg(kept), null)
    await peer.run("os.write(fd, b'from Python'); os.close(fd)")
    assert.equal((await received(kept)).data.toString(), 'from Python')
    assert.equal((await received(kept)).data.length, 0)
  })

  test(`${kind}: what we write to a descriptor of Python's arrives, and its end once both have closed it`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    await peer.run(`
      reader, writer = os.pipe2(os.O_NONBLOCK)
      channel.sendmsg([b'x'], [rights([writer])])
      os.close(writer)`)
    const [writer] = takeDescriptors((await received(ours, 1, CMSG_SPACE(4))).ancillary)
    assert.ok(writer)
    writeSync(writer.fd, 'from Node')
    assert.equal(await peer.run('os.read(reader, 99)'), 'from Node')
    await assert.rejects(peer.run('os.read(reader, 99)'), { type: 'BlockingIOError', code: 'EAGAIN' })
    writer.close()
    assert.equal(await peer.run('os.read(reader, 99)'), '')
  })

  test(`${kind}: a message of Python's that is peeked at gives descriptors each time`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    await peer.run(
      "reader, writer = os.pipe2(os.O_NONBLOCK); channel.sendmsg([b'x'], [rights([writer])]); os.close(writer)",
    )
    const peeked = await received(ours, 9, CMSG_SPACE(4), MSG_PEEK)
    const { data, ancillary } = await received(ours, 9, CMSG_SPACE(4))
    assert.deepEqual([peeked.data.toString(), data.toString()], ['x', 'x'])
    assert.notDeepEqual(rights.from(peeked.ancillary), rights.from(ancillary))
    assert.deepEqual([closeDescriptors(peeked.ancillary), closeDescriptors(ancillary)], [1, 1])
    assert.equal(await peer.run('os.read(reader, 1)'), '', 'no copy is left')
  })

  test(`${kind}: a message of ours that Python peeks at gives descriptors each time`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const [kept, sent] = socketpair()
    t.after(() => kept.close())
    sendmsg(ours, Buffer.from('x'), [rights([sent])])
    sent.close()
    const counts = await peer.run(`
      room = socket.CMSG_SPACE(4)
      received = [channel.recvmsg(9, room, flags) for flags in [socket.MSG_PEEK, 0]]
      fds = [descriptors_in(ancillary) for data, ancillary, flags, address in received]
      for many in fds:
          for fd in many: os.close(fd)
      [len(many) for many in fds]`)
    assert.deepEqual(counts, [1, 1])
    assert.equal((await received(kept)).data.length, 0, 'no copy is left')
  })

  test(`${kind}: descriptors without a byte ${type === SOCK_STREAM ? 'are dropped on the way from' : 'arrive from'} Python`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    const sent = await peer.run<number>(
      'reader, writer = os.pipe2(os.O_NONBLOCK); count = channel.sendmsg([], [rights([writer])]); os.close(writer); count',
    )
    assert.equal(sent, 0)
    if (type === SOCK_STREAM) assert.equal(recvmsg(ours, 9, 100), null)
    else {
      const { data, ancillary } = await received(ours, 9, 100)
      assert.deepEqual([data.length, closeDescriptors(ancillary)], [0, 1])
    }
    assert.equal(await peer.run('os.read(reader, 1)'), '', 'no copy is left')
  })

  if (type !== SOCK_STREAM) {
    test(`${kind}: descriptors without a byte reach Python`, { skip }, async (t) => {
      noLeak(t)
      const { ours, peer } = connectedPython(t, found, type)
      assert.equal(sendmsg(ours, [], [rights([ours])]), 0)
      const [data, identities] = await peer.run<[string, string[]]>(
        'data, ancillary, flags, address = channel.recvmsg(9, 100); [data, [identity(fd) for fd in descriptors_in(ancillary)]]',
      )
      assert.deepEqual([data, identities], ['', [identity(ours)]])
    })
  }

  test(`${kind}: a control message of no descriptors arrives as none, either way`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    await peer.run("channel.sendmsg([b'x'], [rights([])])")
    const { data, ancillary } = await received(ours, 9, 100)
    assert.deepEqual([data.toString(), ancillary], ['x', []])
    sendmsg(ours, Buffer.from('y'), [[SOL_SOCKET, SCM_RIGHTS, Buffer.alloc(0)]])
    assert.deepEqual(await peer.run('channel.recvmsg(9, 100)[:2]'), ['y', []])
  })
}
