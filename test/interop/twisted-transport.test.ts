import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import {
  AF_UNIX,
  accept,
  bind,
  CMSG_SPACE,
  connect,
  credentials,
  type Descriptor,
  getpeername,
  listen,
  readable,
  rights,
  sendmsg,
  socket,
  socketpair,
  takeDescriptors,
} from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { scratch } from '../support/paths.js'
import { connectedPython, identity, interpreter, type Python, python, received } from '../support/python.js'

const found = interpreter('twisted')
const { skip } = found
const PROGRAM = 'unix_transport.py'

interface Connection {
  ours: Descriptor
  peer: Python
}

/** How a connection between us and a Twisted transport comes about. */
const WAYS: [way: string, connection: (t: TestContext) => Promise<Connection>][] = [
  ['that Twisted adopted', adopted],
  [
    'that Twisted made to us',
    async (t) => {
      const path = join(scratch(t), 'ours')
      const listener = socket(AF_UNIX)
      t.after(() => listener.close())
      bind(listener, { path })
      listen(listener)
      const peer = python(t, found, { program: PROGRAM })
      await peer.run(
        'from twisted.internet.protocol import ClientFactory; f = ClientFactory(); f.noisy = False; f.protocol = factory.protocol; reactor.connectUNIX(path, f); None',
        { path },
      )
      await readable(listener)
      const accepted = accept(listener)
      assert.ok(accepted !== null)
      t.after(() => accepted.descriptor.close())
      return made({ ours: accepted.descriptor, peer })
    },
  ],
  [
    'that we made to Twisted',
    async (t) => {
      const path = join(scratch(t), 'its')
      const peer = python(t, found, { program: PROGRAM })
      await peer.run('reactor.listenUNIX(path, factory); None', { path })
      const ours = socket(AF_UNIX)
      t.after(() => ours.close())
      assert.equal(connect(ours, { path }), true)
      assert.deepEqual(getpeername(ours), { family: 'unix', path })
      return made({ ours, peer })
    },
  ],
]

async function adopted(t: TestContext, before = ''): Promise<Connection> {
  const { ours, peer } = connectedPython(t, found, undefined, PROGRAM)
  await peer.run(`${before}\nadopt()`)
  return made({ ours, peer })
}

async function made(connection: Connection): Promise<Connection> {
  assert.deepEqual(await connection.peer.event(), ['made'])
  return connection
}

for (const [way, connection] of WAYS) {
  test(`a connection ${way}: it gets each descriptor in order, and none later than its bytes`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = await connection(t)
    const sockets = [...socketpair(), ...socketpair()]
    t.after(() => {
      for (const one of sockets) one.close()
    })
    sendmsg(ours, Buffer.from('one message'), [rights(sockets.slice(0, 1)), rights(sockets.slice(1))])
    for (const one of sockets) {
      const [what, its] = await peer.event<[string, string, number]>()
      assert.deepEqual([what, its], ['descriptor', identity(one)])
    }
    assert.deepEqual(await peer.event(), ['data', 'one message'])
  })

  test(`a connection ${way}: what it sends by sendFileDescriptor arrives in order, one with each byte`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer } = await connection(t)
    const theirs = await peer.run<string[]>(`
      held = [one for i in range(40) for one in socket.socketpair()]
      for one in held: transport.sendFileDescriptor(one.fileno())
      transport.write(b'x' * 80 + b'the rest')
      [identity(one.fileno()) for one in held]`)
    const descriptors: string[] = []
    let text = ''
    while (text.length < 88) {
      const { data, ancillary } = await received(ours, 88, CMSG_SPACE(4))
      const taken = takeDescriptors(ancillary)
      descriptors.push(...taken.map(identity))
      for (const one of taken) one.close()
      assert.ok(data.length > 0, 'the end came early')
      // The rest may come together with the last descriptor's byte, never with an earlier one's.
      if (descriptors.length < 80) assert.deepEqual([data.toString(), taken.length], ['x', 1])
      text += data.toString()
    }
    assert.deepEqual([text, descriptors], [`${'x'.repeat(80)}the rest`, theirs])
  })

  test(`a connection ${way}: each side learns of the other's end`, { skip }, async (t) => {
    noLeak(t)
    const { ours, peer } = await connection(t)
    await peer.run("transport.write(b'bye'); transport.loseConnection()")
    assert.equal((await received(ours)).data.toString(), 'bye')
    assert.equal((await received(ours)).data.length, 0)
    assert.deepEqual(await peer.event(), ['lost', 'ConnectionDone'])
  })
}

test('our end, closed behind a descriptor, reaches Twisted after the descriptor and its bytes', { skip }, async (t) => {
  noLeak(t)
  const { ours, peer } = await adopted(t)
  const its = identity(ours)
  sendmsg(ours, Buffer.from('last'), [rights([ours])])
  ours.close()
  const [what, identified, number] = await peer.event<[string, string, number]>()
  assert.deepEqual([what, identified], ['descriptor', its])
  assert.deepEqual(await peer.event(), ['data', 'last'])
  // The descriptor is a copy of our end: the connection ends with that.
  await peer.run('os.close(number)', { number })
  assert.deepEqual(await peer.event(), ['lost', 'ConnectionDone'])
})

test('Twisted writes to a connection of ours and closes it: we read that, and then the end', { skip }, async (t) => {
  noLeak(t)
  const { ours, peer } = await adopted(t)
  const [kept, sent] = socketpair()
  t.after(() => kept.close())
  sendmsg(ours, Buffer.from('x'), [rights([sent])])
  sent.close()
  const [, , number] = await peer.event<[string, string, number]>()
  await peer.run("os.write(number, b'served by Twisted'); os.close(number)", { number })
  assert.equal((await received(kept)).data.toString(), 'served by Twisted')
  assert.equal((await received(kept)).data.length, 0)
})

test('a connection that Twisted hands over is served here: its client reads our answer, and the end', {
  skip,
}, async (t) => {
  noLeak(t)
  const { ours, peer } = await adopted(t)
  await peer.run(`
    l = socket.create_server(('127.0.0.1', 0))
    c = socket.create_connection(l.getsockname())
    c.settimeout(10)
    c.sendall(b'request')
    a = l.accept()[0]
    transport.sendFileDescriptor(a.fileno())
    transport.write(b'x')`)
  const [connection] = takeDescriptors((await received(ours, 9, CMSG_SPACE(4))).ancillary)
  assert.ok(connection !== undefined)
  t.after(() => connection.close())
  // Twisted does not say when a descriptor has gone: only now may its copy be closed.
  await peer.run('a.close()')
  assert.equal((await received(connection)).data.toString(), 'request')
  sendmsg(connection, Buffer.from('answer'))
  connection.close()
  assert.deepEqual(await peer.run('[c.recv(9, socket.MSG_WAITALL), c.recv(9)]'), ['answer', ''])
})

test('a Twisted protocol that takes no descriptors closes ours and says so; the connection goes on', {
  skip,
}, async (t) => {
  noLeak(t)
  const { ours, peer } = await adopted(t, 'factory.protocol = Unwilling; observe()')
  const [kept, sent] = socketpair()
  t.after(() => kept.close())
  sendmsg(ours, Buffer.from('x'), [rights([sent])])
  sent.close()
  const [what, text] = await peer.event<[string, string]>()
  assert.deepEqual([what, /IFileDescriptorReceiver/.test(text)], ['log', true])
  assert.deepEqual(await peer.event(), ['data', 'x'])
  assert.equal((await received(kept)).data.length, 0, 'no copy is left')
  sendmsg(ours, Buffer.from('more'))
  assert.deepEqual(await peer.event(), ['data', 'more'])
})

test('Twisted passes over a kind of control message that it does not know, and takes the descriptor', {
  skip,
}, async (t) => {
  noLeak(t)
  const { ours, peer } = await adopted(t, 'channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1); observe()')
  sendmsg(ours, Buffer.from('x'), [rights([ours]), credentials({})])
  const [what, text] = await peer.event<[string, string]>()
  assert.deepEqual([what, /unsupported ancillary data/.test(text)], ['log', true])
  assert.deepEqual((await peer.event<string[]>()).slice(0, 2), ['descriptor', identity(ours)])
  assert.deepEqual(await peer.event(), ['data', 'x'])
})
