/** Connecting: nobody there, somebody who says nothing, somebody who says something else. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type Channel, connect, listen } from '../../src/index.js'
import * as api from '../../src/sendmsg/index.js'
import { encodeFrame, FrameType } from '../../src/wire/frame.js'
import { ownHello } from '../../src/wire/hello.js'
import { noLeak } from '../support/descriptors.js'
import { scratch } from '../support/paths.js'
import { error, peer, soon } from '../support/peers.js'
import { standStill } from '../support/standing-still.js'

/** A server of the path that does what is asked with each connection; `count` of them came. */
async function serving(
  t: TestContext,
  accepted: (socket: net.Socket) => void,
): Promise<{ path: string; count(): number; first: Promise<net.Socket> }> {
  const path = join(scratch(t), 'socket')
  const sockets: net.Socket[] = []
  const server = net.createServer((socket) => {
    sockets.push(socket.on('error', () => {}))
    accepted(socket)
  })
  const first = once(server, 'connection').then(([socket]) => socket as net.Socket)
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await once(server.listen(path), 'listening')
  return { path, count: () => sockets.length, first }
}

/** A path that is bound, and nobody listens there. */
function deserted(t: TestContext): string {
  const path = join(scratch(t), 'socket')
  const bound = api.socket(api.AF_UNIX, api.SOCK_STREAM)
  t.after(() => bound.close())
  api.bind(bound, { path })
  return path
}

test('where nobody listens the answer comes at once', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  await assert.rejects(connect(path), error('ENOENT', new RegExp(path), /start the other side first/))
  await assert.rejects(connect(deserted(t)), error('ECONNREFUSED', /connect/, /Nobody listens/))
  await assert.rejects(connect(`@handover-nobody-${process.pid}`), error('ECONNREFUSED'))
})

test('with retry it goes on until somebody listens', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const coming = connect(path, { retry: true })
  const server = peer(t, 'listen', path)
  const channel = await coming
  assert.equal(channel.peer?.pid, server.pid)
  channel.close()
})

test('with retry a stale file is no answer either', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const first = peer(t, 'listen', path)
  await first.hears('listening')
  await first.kill()
  const coming = connect(path, { retry: true })
  const second = peer(t, 'listen', path)
  const channel = await coming
  assert.equal(channel.peer?.pid, second.pid)
  channel.close()
})

test('what retrying cannot heal ends it at once', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'x'.repeat(200))
  await assert.rejects(connect(path, { retry: true, timeout: 0x7fffffff }), RangeError)
  const datagrams = join(scratch(t), 'socket')
  const socket = api.socket(api.AF_UNIX, api.SOCK_DGRAM)
  t.after(() => socket.close())
  api.bind(socket, { path: datagrams })
  await assert.rejects(connect(datagrams, { retry: true }), error('EPROTOTYPE', /./, /another type/))
})

test('the time limit holds before anybody listens', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  await assert.rejects(connect(path, { retry: true, timeout: 50 }), error('ERR_HANDOVER_TIMED_OUT', /50 ms/))
  await assert.rejects(connect(path, { retry: true, timeout: 0 }), error('ERR_HANDOVER_TIMED_OUT'))
})

test('the time limit holds where somebody listens and says nothing', async (t) => {
  noLeak(t)
  const { path, first } = await serving(t, (socket) => socket.resume())
  await assert.rejects(
    connect(path, { timeout: 50 }),
    error('ERR_HANDOVER_TIMED_OUT', /did not say hello: not within 50 ms/, /other side is doing/),
  )
  const socket = await first
  if (!socket.destroyed) await once(socket, 'close')
})

test('the time limit holds for a socket that was connected by other means', async (t) => {
  noLeak(t)
  const [ours, theirs] = api.socketpair()
  t.after(() => theirs.close())
  await assert.rejects(soon(connect(ours, { timeout: 50 })), error('ERR_HANDOVER_TIMED_OUT'))
})

test('who said hello in time is heard, though this process stood still', async (t) => {
  noLeak(t)
  const [ours, theirs] = api.socketpair()
  t.after(() => theirs.close())
  const coming = connect(ours, { timeout: 100 })
  setImmediate(() => {
    api.sendmsg(theirs, encodeFrame(FrameType.hello, Buffer.from(JSON.stringify(ownHello()))))
    standStill(200)
  })
  const channel = await soon(coming)
  channel.close()
})

test('the signal ends a socket that was connected by other means', async (t) => {
  noLeak(t)
  const [ours, theirs] = api.socketpair()
  t.after(() => theirs.close())
  const reason = new Error('enough')
  const given = new AbortController()
  const coming = connect(ours, { signal: given.signal })
  given.abort(reason)
  await assert.rejects(soon(coming), (thrown) => thrown === reason)
})

test('a signal ends it at each stage, with its reason', async (t) => {
  noLeak(t)
  const reason = new Error('enough')
  const path = join(scratch(t), 'socket')
  await assert.rejects(connect(path, { retry: true, signal: AbortSignal.abort(reason) }), reason)
  const before = new AbortController()
  const coming = connect(path, { retry: true, signal: before.signal })
  before.abort(reason)
  await assert.rejects(coming, (thrown) => thrown === reason)
  const silent = await serving(t, (socket) => socket.resume())
  const after = new AbortController()
  const hanging = connect(silent.path, { signal: after.signal })
  await silent.first
  after.abort(reason)
  await assert.rejects(hanging, (thrown) => thrown === reason)
})

test('a signal that is aborted later does not touch the channel', async (t) => {
  noLeak(t)
  const listener = await listen(join(scratch(t), 'socket'))
  t.after(() => listener.close())
  const given = new AbortController()
  const channel = await connect(listener.address, { signal: given.signal, timeout: 5_000 })
  const other = (await listener.accept()) as Channel
  given.abort()
  const [, delivery] = await Promise.all([channel.send('still here'), other.receive()])
  assert.equal(delivery?.message, 'still here')
  channel.close()
  other.close()
})

test('an HTTP server is told apart', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const server = http.createServer((_, response) => response.end('hello'))
  t.after(() => server.closeAllConnections())
  t.after(() => server.close())
  await once(server.listen(path), 'listening')
  await assert.rejects(connect(path), error('ERR_HANDOVER_BAD_FRAME', /./, /does not speak this protocol/))
})

for (const [what, bytes] of [
  ['text', Buffer.from('220 mail.example ESMTP\r\n')],
  ['zeros', Buffer.alloc(64)],
  ['a frame that is no hello', encodeFrame(FrameType.message, Buffer.from('{"protocol":"handover"}'))],
  ['a hello of something else', encodeFrame(FrameType.hello, Buffer.from('{"protocol":"other","version":1}'))],
  ['a hello that is no JSON', encodeFrame(FrameType.hello, Buffer.from('{'))],
  ['a frame over the limit', Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0])],
] as const) {
  test(`a peer that says ${what} is told apart`, async (t) => {
    noLeak(t)
    const { path } = await serving(t, (socket) => socket.write(bytes))
    await assert.rejects(connect(path), error('ERR_HANDOVER_BAD_FRAME'))
  })
}

test('a peer that hangs up at once is gone, which the error says', async (t) => {
  noLeak(t)
  const { path } = await serving(t, (socket) => socket.destroy())
  await assert.rejects(connect(path), error('ERR_HANDOVER_NO_HELLO'))
})

test('without a version in common both are told', async (t) => {
  noLeak(t)
  const hello = (range: object): Buffer =>
    encodeFrame(FrameType.hello, Buffer.from(JSON.stringify({ ...ownHello(), ...range })))
  for (const range of [
    { version: 9, oldest: 9 },
    { version: 0, oldest: 0 },
  ]) {
    const { path } = await serving(t, (socket) => socket.write(hello(range)))
    await assert.rejects(
      connect(path),
      error('ERR_HANDOVER_VERSION', new RegExp(`${range.oldest} to ${range.version}`)),
    )
    await assert.rejects(
      connect(path, { reconnect: true, timeout: 3_000 }),
      error('ERR_HANDOVER_VERSION'),
      'looking for it again heals nothing',
    )
  }
  const newer = await serving(t, (socket) => socket.write(hello({ version: 9, oldest: 1 })))
  const channel = await connect(newer.path)
  assert.equal(channel.peer?.version, 9)
  channel.close()
})

test('wrong arguments are told before anything happens', async (t) => {
  noLeak(t)
  const { path, count } = await serving(t, () => {})
  for (const [options, wrong] of [
    [{ timeout: '5' }, TypeError],
    [{ timeout: -1 }, RangeError],
    [{ timeout: 2 ** 31 }, RangeError],
    [{ timeout: 1.5 }, RangeError],
    [{ signal: {} }, TypeError],
  ] as const) {
    await assert.rejects(connect(path, options as never), wrong, JSON.stringify(options))
  }
  for (const address of [undefined, null, 5, '', {}, [], Symbol('x')]) {
    await assert.rejects(connect(address as never), { name: 'TypeError', message: /^address: a path, @name, or / })
  }
  assert.equal(count(), 0)
})

test('a closed Descriptor is told as that', async (t) => {
  noLeak(t)
  const [ours, theirs] = api.socketpair()
  for (const end of [ours, theirs]) end.close()
  await assert.rejects(connect(ours), { name: 'TypeError', message: /^address: an open Descriptor/ })
  await assert.rejects(listen(ours), { name: 'TypeError', message: /^address: an open Descriptor/ })
})

test('two connected Descriptors make a channel', async (t) => {
  noLeak(t)
  const [ours, theirs] = api.socketpair()
  const channels = await Promise.all([connect(ours), connect(theirs)])
  assert.deepEqual([ours.fd, theirs.fd], [-1, -1])
  for (const channel of channels) assert.equal(channel.peer?.pid, process.pid)
  const [, delivery] = await Promise.all([channels[0].send({ n: 1 }), channels[1].receive()])
  assert.deepEqual(delivery, { message: { n: 1 }, things: [] })
  for (const channel of channels) channel.close()
})

test('a Descriptor that is no connected UNIX stream socket is refused clearly, and closed', async (t) => {
  noLeak(t)
  const [datagrams, other] = api.socketpair(api.AF_UNIX, api.SOCK_DGRAM)
  t.after(() => other.close())
  for (const made of [datagrams, api.socket(api.AF_INET, api.SOCK_STREAM), api.socket(api.AF_UNIX, api.SOCK_STREAM)]) {
    await assert.rejects(soon(connect(made, { timeout: 1_000 })), (thrown) => {
      const { name, code = 'none' } = thrown as { name: string; code?: string }
      assert.ok(name === 'TypeError' || name === 'SyscallError' || code === 'ERR_HANDOVER_BAD_CHANNEL', `${thrown}`)
      return true
    })
  }
})
