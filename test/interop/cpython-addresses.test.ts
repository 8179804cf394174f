import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import {
  type AddressLike,
  AF_UNIX,
  accept,
  bind,
  CMSG_SPACE,
  connect,
  credentials,
  type Descriptor,
  getPeerCredentials,
  getpeername,
  getsockname,
  listen,
  readable,
  rights,
  SCM_CREDENTIALS,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOL_SOCKET,
  sendmsg,
  setsockopt,
  socket,
  takeDescriptors,
} from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { scratch } from '../support/paths.js'
import { connectedPython, identity, interpreter, python, received, UNIX_KINDS } from '../support/python.js'

const found = interpreter('cpython')
const { skip } = found

function boundTo(t: { after(hook: () => void): void }, address: AddressLike, type = SOCK_DGRAM): Descriptor {
  const made = socket(AF_UNIX, type)
  t.after(() => made.close())
  bind(made, address)
  return made
}

let names = 0
/** Two addresses that nobody else has. */
const PLACES: [kind: string, pair: (t: Parameters<typeof scratch>[0]) => [string, string]][] = [
  [
    'paths',
    (t) => {
      const folder = scratch(t)
      return [join(folder, 'ours'), join(folder, 'its')]
    },
  ],
  [
    'abstract names',
    () => {
      const name = `\0handover interop ${process.pid} ${names++}`
      return [`${name} ours`, `${name} its`]
    },
  ],
  [
    'abstract names with zero bytes in them',
    () => {
      const name = `\0\0handover\0${process.pid} ${names++}`
      return [`${name}o\0`, `${name}i\0`]
    },
  ],
]

for (const [places, pair] of PLACES) {
  test(`${places}: datagrams and descriptors go to an address of Python's and come from it`, { skip }, async (t) => {
    noLeak(t)
    const [mine, its] = pair(t)
    const ours = boundTo(t, { path: mine })
    const peer = python(t, found)
    await peer.run('s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(its); s.settimeout(10)', { its })
    assert.equal(sendmsg(ours, Buffer.from('abc'), [rights([ours])], 0, { path: its }), 3)
    // Python tells abstract names as bytes, and paths as text: both are text here.
    const theirs = await peer.run(
      `data, ancillary, flags, address = s.recvmsg(9, 100)
[fd] = descriptors_in(ancillary)
sent = s.sendmsg([b'back'], [rights([fd])], 0, address)
[data, address, sent, identity(fd), os.close(fd), s.getsockname()]`,
    )
    assert.deepEqual(theirs, ['abc', mine, 4, identity(ours), null, its])
    const { data, ancillary, address } = await received(ours, 9, 100)
    const [copy] = takeDescriptors(ancillary)
    assert.ok(copy)
    assert.deepEqual(
      [data.toString(), address, identity(copy)],
      ['back', { family: 'unix', path: its }, identity(ours)],
    )
    copy.close()
    assert.deepEqual(getsockname(ours), { family: 'unix', path: mine })
  })

  for (const [kind, type] of UNIX_KINDS.filter(([name]) => name !== 'datagram')) {
    test(`${places}, ${kind}: Python connects to a listener of ours, and we to one of Python's`, {
      skip,
    }, async (t) => {
      noLeak(t)
      const [mine, its] = pair(t)
      const listener = boundTo(t, { path: mine }, type)
      listen(listener)
      const peer = python(t, found)
      const named = await peer.run(
        `l = socket.socket(socket.AF_UNIX, kind); l.bind(its); l.listen(); l.settimeout(10)
c = socket.socket(socket.AF_UNIX, kind); c.connect(mine); c.sendmsg([b'hello'], [rights([0])])
[c.getpeername(), l.getsockname()]`,
        { mine, its, kind: type },
      )
      assert.deepEqual(named, [mine, its])
      await readable(listener)
      const accepted = accept(listener)
      assert.ok(accepted !== null)
      t.after(() => accepted.descriptor.close())
      const { data, ancillary } = await received(accepted.descriptor, 9, 100)
      for (const one of takeDescriptors(ancillary)) one.close()
      assert.deepEqual([data.toString(), ancillary.length, accepted.address], ['hello', 1, null])
      assert.equal(getPeerCredentials(accepted.descriptor).pid, peer.pid)

      const client = socket(AF_UNIX, type)
      t.after(() => client.close())
      assert.equal(connect(client, { path: its }), true)
      assert.deepEqual(getpeername(client), { family: 'unix', path: its })
      assert.equal(getPeerCredentials(client).pid, peer.pid)
      const [pid, uid, gid] = await peer.run<number[]>(`
        a, address = l.accept()
        struct.unpack('iII', a.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))`)
      assert.deepEqual([pid, uid, gid], [process.pid, process.geteuid?.(), process.getegid?.()])
    })
  }
}

test('a path that is no UTF-8 comes from Python as raw bytes, which answer it', { skip }, async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const ours = boundTo(t, { path: join(folder, 'ours') })
  const peer = python(t, found)
  await peer.run(
    `s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.settimeout(10)
s.bind(os.fsencode(folder) + b'/\\xff'); s.sendmsg([b'x'], [], 0, folder + '/ours')`,
    { folder },
  )
  const { address } = await received(ours)
  assert.equal(address?.family, 'raw')
  sendmsg(ours, Buffer.from('found you'), [], 0, address)
  assert.equal(await peer.run('s.recvmsg(99)[0]'), 'found you')
})

test('a name that the kernel chose for either is one that the other reaches', { skip }, async (t) => {
  noLeak(t)
  const ours = boundTo(t, { path: '' })
  const name = getsockname(ours)
  assert.ok(name?.family === 'unix' && /^\0[0-9a-f]{5}$/.test(name.path))
  const peer = python(t, found)
  const its = await peer.run<string>(
    `s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.settimeout(10); s.bind('')
s.sendmsg([b'x'], [], 0, name.encode('latin-1'))
s.getsockname()`,
    { name: name.path },
  )
  const { address } = await received(ours)
  assert.deepEqual(address, { family: 'unix', path: its })
  sendmsg(ours, Buffer.from('y'), [], 0, { path: its })
  assert.deepEqual(await peer.run('data, a, f, address = s.recvmsg(9); [data, address]'), ['y', name.path])
})

test('who has no address has none on the other side', { skip }, async (t) => {
  noLeak(t)
  const [mine] = (PLACES[1] as (typeof PLACES)[number])[1](t)
  const ours = boundTo(t, { path: mine })
  const peer = python(t, found)
  await peer.run('s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendmsg([b"x"], [], 0, mine)', { mine })
  assert.equal((await received(ours)).address, null)
  const { ours: pairedOurs, peer: paired } = connectedPython(t, found, SOCK_DGRAM)
  sendmsg(pairedOurs, Buffer.from('x'))
  assert.deepEqual(await paired.run('list(channel.recvmsg(9))[3]'), null)
})

test('an address where nobody is refuses Python and us alike', { skip }, async (t) => {
  noLeak(t)
  const peer = python(t, found)
  const ours = boundTo(t, { path: '' })
  const folder = scratch(t)
  for (const [place, code] of [
    [join(folder, 'nobody'), 'ENOENT'],
    [`\0handover interop nobody ${process.pid}`, 'ECONNREFUSED'],
  ] as const) {
    const attempt = 'socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, place)'
    await assert.rejects(peer.run(attempt, { place }), { code })
    assert.throws(() => sendmsg(ours, Buffer.from('x'), [], 0, { path: place }), { code })
  }
})

for (const [kind, type] of UNIX_KINDS) {
  test(`${kind}: the credentials of Python come with its messages, told or not, before its descriptors`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    setsockopt(ours, 'SO_PASSCRED', true)
    await peer.run(`
      me = struct.pack('iII', os.getpid(), os.geteuid(), os.getegid())
      channel.sendmsg([b'untold'])
      channel.sendmsg([b'told'], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, me)])
      channel.sendmsg([b'with a descriptor'], [rights([0]), (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, me)])`)
    const its = { pid: peer.pid, uid: process.geteuid?.(), gid: process.getegid?.() }
    for (const [text, descriptors] of [
      ['untold', 0],
      ['told', 0],
      ['with a descriptor', 1],
    ] as const) {
      const { data, ancillary } = await received(ours, type === SOCK_STREAM ? text.length : 99, 100)
      const taken = takeDescriptors(ancillary)
      for (const one of taken) one.close()
      assert.deepEqual([data.toString(), credentials.from(ancillary), taken.length], [text, its, descriptors])
      assert.deepEqual(ancillary[0]?.slice(0, 2), [SOL_SOCKET, SCM_CREDENTIALS])
    }
  })

  test(`${kind}: our credentials reach Python, told or not, before our descriptors`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = connectedPython(t, found, type)
    await peer.run('channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)')
    sendmsg(ours, Buffer.from('aaa'))
    sendmsg(ours, Buffer.from('bbb'), [credentials({})])
    sendmsg(ours, Buffer.from('ccc'), [rights([ours]), credentials({ pid: process.pid })])
    const theirs = await peer.run(
      `def one():
    data, ancillary, flags, address = channel.recvmsg(3, room)
    level, kind, who = ancillary[0]
    assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS)
    return [data, struct.unpack('iII', who), len(descriptors_in(ancillary))]
[one(), one(), one()]`,
      { room: CMSG_SPACE(12) + CMSG_SPACE(4) },
    )
    const mine = [process.pid, process.geteuid?.(), process.getegid?.()]
    assert.deepEqual(theirs, [
      ['aaa', mine, 0],
      ['bbb', mine, 0],
      ['ccc', mine, 1],
    ])
  })
}

test('credentials that are not the own are refused to Python and to us alike', {
  skip: skip || (process.geteuid?.() === 0 && 'the superuser may claim what it likes'),
}, async (t) => {
  noLeak(t)
  const { ours, peer } = connectedPython(t, found, SOCK_SEQPACKET)
  const false_ = "(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack('iII', 1, 0, 0))"
  await assert.rejects(peer.run(`channel.sendmsg([b'x'], [${false_}])`), { code: 'EPERM' })
  assert.throws(() => sendmsg(ours, Buffer.from('x'), [credentials({ pid: 1, uid: 0, gid: 0 })]), { code: 'EPERM' })
})

test('credentials that the superuser claims are what the other side gets, either way', {
  skip: skip || (process.geteuid?.() !== 0 && 'needs the superuser'),
}, async (t) => {
  noLeak(t)
  const { ours, peer } = connectedPython(t, found, SOCK_SEQPACKET)
  setsockopt(ours, 'SO_PASSCRED', true)
  const claim = "(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack('iII', os.getpid(), 1234, 4321))"
  await peer.run(`channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1); channel.sendmsg([b'x'], [${claim}])`)
  const claimed = { uid: 1234, gid: 4321 }
  assert.deepEqual(credentials.from((await received(ours, 9, 100)).ancillary), { pid: peer.pid, ...claimed })
  sendmsg(ours, Buffer.from('x'), [credentials(claimed)])
  assert.deepEqual(await peer.run("struct.unpack('iII', channel.recvmsg(9, 100)[1][0][2])"), [process.pid, 1234, 4321])
})
