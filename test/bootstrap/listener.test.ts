/** Listening for channels: many peers, silent peers, no room, the end. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { errnoOf } from '../../src/errors.js'
import { type Channel, type ChannelListener, type ChannelListenOptions, connect, listen } from '../../src/index.js'
import { UNGREETED_MAX, UNTAKEN_CHANNELS_MAX } from '../../src/limits.js'
import * as api from '../../src/sendmsg/index.js'
import { noLeak, socketCount } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { scratch } from '../support/paths.js'
import { error, peer, soon } from '../support/peers.js'
import { uncaught } from '../support/uncaught.js'
import { until } from '../support/wait.js'

async function listening(t: TestContext, options: ChannelListenOptions = {}): Promise<ChannelListener> {
  const listener = await listen(join(scratch(t), 'socket'), options)
  t.after(() => listener.close())
  return listener
}

/** Somebody who connects, and says nothing. */
function silent(t: TestContext, listener: ChannelListener): api.Descriptor {
  const socket = api.socket(api.AF_UNIX, api.SOCK_STREAM)
  t.after(() => socket.close())
  api.connect(socket, { path: listener.address.replace(/^@/, '\0') })
  return socket
}

/** Reads until the end. */
async function ended(socket: api.Descriptor): Promise<void> {
  for (;;) {
    await api.readable(socket)
    if (api.recvmsg(socket, 4096)?.data.length === 0) return
  }
}

test('channels come by the event, in the order they were greeted', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  const came: Channel[] = []
  listener.on('channel', (channel) => came.push(channel))
  const made = [await connect(listener.address), await connect(listener.address)]
  await until('both came', () => came.length === 2)
  await Promise.all([made[1]?.send('second'), came[1]?.receive()])
  for (const channel of [...made, ...came]) channel.close()
})

test('channels come by iteration, which ends with the listener', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  const made = [await connect(listener.address), await connect(listener.address), await connect(listener.address)]
  const came: Channel[] = []
  for await (const channel of listener) {
    came.push(channel)
    if (came.length === 3) listener.close()
  }
  assert.equal(came.length, 3)
  assert.equal(await listener.accept(), null)
  for (const channel of [...made, ...came]) {
    assert.equal(channel.closed, false, 'what was taken stays open')
    channel.close()
  }
})

test('a listener that is closed as soon as a channel comes leaves that open', async (t) => {
  noLeak(t)
  for (const taking of [
    (listener: ChannelListener) => listener.accept().finally(() => listener.close()),
    (listener: ChannelListener) =>
      new Promise<Channel | null>((resolve) => {
        listener.once('channel', (channel) => {
          listener.close()
          resolve(channel)
        })
      }),
  ]) {
    const listener = await listening(t)
    const [theirs, ours] = await Promise.all([connect(listener.address), taking(listener)])
    assert.deepEqual([ours?.closed, theirs.closed], [false, false])
    await Promise.all([theirs.send('still here'), ours?.receive()])
    theirs.close()
    ours?.close()
  }
})

test('who waits for a channel is told of the end', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  const waiting = [listener.accept(), listener.accept()]
  const closed = once(listener, 'close')
  listener.close()
  assert.deepEqual(await Promise.all(waiting), [null, null])
  await closed
})

test('closing ends what nobody has taken, and what has not greeted', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  listener.on('failed', () => assert.fail('its own doing is no failure'))
  const untaken = await connect(listener.address)
  const quiet = silent(t, listener)
  await api.readable(quiet) // the hello of the listener
  listener.close()
  assert.equal(await untaken.receive(), null)
  await ended(quiet)
})

test('silent peers beyond the limit wait in the kernel, and others get in as they leave', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  const before = socketCount()
  const crowd = Array.from({ length: UNGREETED_MAX + 1 }, () => silent(t, listener))
  for (let index = 0; index < 2 * UNGREETED_MAX; index++) crowd.push(silent(t, listener))
  await until('as many as may be are let in', () => socketCount() - before - crowd.length >= UNGREETED_MAX)
  const coming = connect(listener.address)
  let isIn = false
  void coming.then(() => {
    isIn = true
  })
  const [first] = crowd
  await api.readable(first as api.Descriptor)
  assert.ok(socketCount() - before - crowd.length - 1 <= 2 * UNGREETED_MAX, 'not many more than may be')
  assert.equal(isIn, false)
  const accepting = listener.accept()
  for (const one of crowd) one.close()
  const [channel, other] = await Promise.all([coming, accepting])
  await Promise.all([channel.send('in'), other?.receive()])
  channel.close()
  other?.close()
})

test('beyond the channels that nobody takes others wait, and each that is taken lets one in', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  const made: Channel[] = []
  t.after(() => {
    for (const channel of made) channel.close()
  })
  while (made.length < UNTAKEN_CHANNELS_MAX) made.push(await connect(listener.address))
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve)) // all are greeted here, too
  const quick = connect(listener.address)
  const taken = (await listener.accept()) as Channel
  made.push(taken, await soon(quick, 'the next one gets in'))
})

test('without a descriptor left those that come wait, and get in later', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  let failures = 3
  fakeKernel(t, {
    accept: (real, ...args) => (failures-- > 0 ? errnoOf('EMFILE') : real(...args)),
  })
  const [channel, other] = await soon(Promise.all([connect(listener.address), listener.accept()]))
  assert.ok(failures < 0)
  channel.close()
  other?.close()
})

test('while it rests for want of descriptors, closing closes', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  let asked = 0
  fakeKernel(t, {
    accept: () => {
      asked += 1
      return errnoOf('EMFILE')
    },
  })
  const quiet = silent(t, listener)
  await until('it was asked', () => asked === 1)
  listener.close()
  await api.readable(quiet)
  assert.equal(asked, 1)
})

test('a listener that is closed in the middle of those that come leaves nothing open', async (t) => {
  noLeak(t)
  let asked = 0
  const listener = await listening(t, { admit: () => ++asked > 1 })
  listener.on('refused', () => listener.close())
  const all = [silent(t, listener), silent(t, listener), silent(t, listener)]
  await once(listener, 'close')
  for (const one of all) {
    await soon(ended(one), 'it is closed')
  }
})

test('what a listener of an event throws is uncaught, and stops nothing', async (t) => {
  noLeak(t)
  const thrown = uncaught(t)
  const listener = await listening(t)
  listener.once('channel', (channel) => {
    channel.close()
    throw new Error('mine')
  })
  const first = await connect(listener.address)
  await until('it is thrown', () => thrown.length === 1)
  assert.equal((thrown[0] as Error).message, 'mine')
  first.close()
  const [second, other] = await Promise.all([connect(listener.address), listener.accept()])
  second.close()
  other?.close()
})

test('peers that do not speak the protocol are failures, told one by one, and no more', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  const failed = once(listener, 'failed')
  const junk = silent(t, listener)
  api.sendmsg(junk, Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  const [who, reason] = (await failed) as [{ pid: number }, { code: string }]
  assert.deepEqual([who.pid, reason.code], [process.pid, 'ERR_HANDOVER_BAD_FRAME'])
  const gone = once(listener, 'failed')
  silent(t, listener).close()
  assert.equal(((await gone) as [unknown, { code: string }])[1].code, 'ERR_HANDOVER_NO_HELLO')
  const [channel, other] = await Promise.all([connect(listener.address), listener.accept()])
  channel.close()
  other?.close()
})

test('a peer that is silent for too long is closed, and told of', async (t) => {
  noLeak(t)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const listener = await listening(t)
  const failed = once(listener, 'failed')
  const quiet = silent(t, listener)
  await api.readable(quiet)
  t.mock.timers.tick(9_999)
  t.mock.timers.tick(1)
  const [, reason] = (await failed) as [unknown, Error]
  assert.ok(error('ERR_HANDOVER_NO_HELLO', /10000 ms/)(reason))
})

test('a listening Descriptor is taken as it is, and its path stays', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const socket = api.socket(api.AF_UNIX, api.SOCK_STREAM)
  api.bind(socket, { path })
  api.listen(socket)
  const listener = await listen(socket)
  assert.equal(socket.fd, -1)
  assert.equal(listener.address, path)
  const [channel, other] = await Promise.all([connect(path), listener.accept()])
  channel.close()
  other?.close()
  listener.close()
  await assert.rejects(connect(path), error('ECONNREFUSED'))
  const plain = api.socket(api.AF_UNIX, api.SOCK_STREAM)
  await assert.rejects(listen(plain), { name: 'TypeError', message: /a stream socket that listens/ })
  assert.equal(plain.fd, -1, 'taken all the same')
})

test('a program that does not hold on to its listener and channels ends', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const server = peer(t, 'listen', path)
  await server.hears('listening')
  const channel = await connect(path)
  t.after(() => channel.close())
  await server.hears('open')
  server.order({ unref: true })
  assert.equal(await soon(server.ended), 0)
  assert.equal(await channel.receive(), null)
})

for (const [what, asked] of [
  ['an abstract name', `@handover-listener-${process.pid}`],
  ['one that the kernel picks', '@'],
] as const) {
  test(`${what} is told as another process takes it`, { skip: process.platform !== 'linux' }, async (t) => {
    noLeak(t)
    const listener = await listen(asked, { mode: 0o600 })
    t.after(() => listener.close())
    assert.match(listener.address, asked === '@' ? /^@[0-9a-f]{5}$/ : /^@handover-listener/)
    const other = peer(t, 'connect', listener.address)
    const channel = (await listener.accept()) as Channel
    assert.equal(channel.peer?.pid, other.pid)
    assert.equal((await other.hears<{ pid: number }>('open')).pid, process.pid)
    if (asked !== '@') {
      await assert.rejects(listen(asked), error('EADDRINUSE', /./, /stop it|another/i))
      const second = await listen(`unix:${asked}-2`)
      assert.equal(second.address, `${asked}-2`)
      second.close()
    }
    channel.close()
    listener.close()
    await assert.rejects(connect(listener.address), error('ECONNREFUSED'))
    const again = await listen(asked)
    again.close()
  })
}
