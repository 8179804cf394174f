/** A channel that looks for its peer again. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type Channel, connect, type Delivery, listen } from '../../src/index.js'
import * as api from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { hello } from '../support/links.js'
import { scratch } from '../support/paths.js'
import { error, peer, soon } from '../support/peers.js'
import { until } from '../support/wait.js'

/** A server that greets and then does nothing; what it accepted can be dropped. */
async function greeter(t: TestContext, path: string): Promise<{ drop(): void; close(): void; count(): number }> {
  const sockets: net.Socket[] = []
  let count = 0
  const server = net.createServer((socket) => {
    count += 1
    sockets.push(socket.on('error', () => {}))
    socket.resume().write(hello)
  })
  await once(server.listen(path), 'listening')
  const drop = (): void => {
    for (const socket of sockets.splice(0)) socket.destroy()
  }
  const close = (): void => {
    drop()
    server.close()
  }
  t.after(close)
  return { drop, close, count: () => count }
}

async function reconnecting(t: TestContext, path: string): Promise<Channel> {
  const channel = await connect(path, { reconnect: true })
  t.after(() => channel.close())
  return channel
}

test('a peer that dies and comes again is found again; what waited is delivered then', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const first = peer(t, 'listen', path)
  const channel = await connect(path, { retry: true, reconnect: true })
  t.after(() => channel.close())
  await channel.send('before')
  const lost = once(channel, 'disconnected')
  await first.kill()
  assert.deepEqual(await lost, [null])
  assert.equal(channel.closed, false)
  assert.equal(channel.peer?.pid, first.pid, 'who it was')
  const waiting = [channel.send('one'), channel.send('two')]
  assert.equal(channel.pending, 2)
  const found = once(channel, 'connected')
  const receiving = channel.receive()
  const second = peer(t, 'listen', path)
  const [who] = (await found) as [{ pid: number }]
  assert.equal(who.pid, second.pid)
  assert.equal(channel.peer?.pid, second.pid)
  await Promise.all(waiting)
  await second.hears('message', 2)
  assert.deepEqual(second.said('message'), ['one', 'two'])
  second.order({ send: 'back' })
  assert.equal((await receiving)?.message, 'back', 'who waits to receive waits on')
})

test('it goes on for as long as the peer comes and goes', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const channel = connect(path, { retry: true, reconnect: true })
  t.after(async () => (await channel).close())
  for (let round = 0; round < 3; round++) {
    const one = peer(t, 'listen', path)
    await one.hears('open')
    await (await channel).send(round)
    assert.equal(await one.hears('message'), round)
    await one.kill()
  }
})

test('what was in flight is rejected and stays its sender’s', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const server = await greeter(t, path)
  const channel = await reconnecting(t, path)
  const [kept, far] = api.socketpair()
  t.after(() => {
    for (const each of [kept, far]) each.close()
  })
  const sent = channel.send('in flight', [kept])
  const lost = once(channel, 'disconnected')
  const found = once(channel, 'connected')
  server.drop()
  await assert.rejects(sent, error('ERR_HANDOVER_PEER_GONE', /./, /still yours/))
  await lost
  await found
  assert.ok(kept.fd >= 0)
  api.sendmsg(kept, Buffer.from('alive'))
  assert.equal(String(api.recvmsg(far)?.data), 'alive')
})

/** A channel that looks for a peer which has gone, and the path where that was. */
async function bereft(t: TestContext): Promise<{ channel: Channel; path: string }> {
  const path = join(scratch(t), 'socket')
  const server = await greeter(t, path)
  const channel = await reconnecting(t, path)
  const lost = once(channel, 'disconnected')
  server.close()
  await lost
  return { channel, path }
}

test('what waits with a thing is delivered after, and is its sender’s no more', async (t) => {
  noLeak(t)
  const { channel, path } = await bereft(t)
  const [thing, far] = api.socketpair()
  t.after(() => far.close())
  const sent = channel.send('waits', [thing])
  const listener = await listen(path)
  t.after(() => listener.close())
  const other = (await listener.accept()) as Channel
  const [, delivery] = await Promise.all([sent, other.receive()])
  assert.equal(thing.fd, -1)
  const [got] = (delivery as Delivery).things as [api.Descriptor]
  api.sendmsg(got, Buffer.from('moved'))
  assert.equal(String(api.recvmsg(far)?.data), 'moved')
  got.close()
  other.close()
})

/** Milliseconds that so many reconnections took at least: a timer may be late, never early. */
async function timeOf(count: () => number, more: number): Promise<number> {
  const start = count()
  const began = performance.now()
  await until(`${more} more connections`, () => count() >= start + more, 20_000)
  return performance.now() - began
}

test('a peer that takes whoever comes and drops them is not kept busy', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  let count = 0
  let greets = true
  const server = net.createServer((socket) => {
    count += 1
    socket.on('error', () => {}).resume()
    if (greets) socket.write(hello)
    else socket.destroy()
  })
  t.after(() => server.close())
  await once(server.listen(path), 'listening')
  const taken = once(server, 'connection')
  const channel = await reconnecting(t, path)
  greets = false
  const [socket] = (await taken) as [net.Socket]
  socket.destroy()
  assert.ok(
    (await timeOf(() => count, 10)) >= 500,
    'ten attempts in half a second at the most: it waits longer each time',
  )
  channel.close()
})

test('closing ends the looking at once', async (t) => {
  noLeak(t)
  const { channel, path } = await bereft(t)
  const [waiting, receiving, closed] = [channel.send('never'), channel.receive(), once(channel, 'close')]
  channel.close()
  await assert.rejects(waiting, error('ERR_HANDOVER_CLOSED'))
  assert.equal(await receiving, null)
  assert.deepEqual(await closed, [null])
  const again = await greeter(t, path)
  const probe = await connect(path)
  assert.equal(again.count(), 1, 'nobody but the probe came')
  probe.close()
})

test('what looking again cannot heal ends the channel with that error', async (t) => {
  noLeak(t)
  const { channel, path } = await bereft(t)
  const closed = once(channel, 'close')
  const server = net.createServer((socket) =>
    socket
      .on('error', () => {})
      .resume()
      .end('220 mail.example ESMTP\r\n'),
  )
  t.after(() => server.close())
  await once(server.listen(path), 'listening')
  const [reason] = (await soon(closed)) as [{ code: string }]
  assert.equal(reason.code, 'ERR_HANDOVER_BAD_FRAME')
})

test('a program that does not hold on to it ends while it looks', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const server = await greeter(t, path)
  const other = peer(t, 'connect', path, { reconnect: true })
  await other.hears('open')
  server.close()
  await other.hears('disconnected')
  other.order({ unref: true })
  assert.equal(await soon(other.ended), 0)
})

test('without reconnect the peer’s end is the end', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const server = await greeter(t, path)
  const channel = await connect(path)
  channel.on('disconnected', () => assert.fail('it is not looked for'))
  server.drop()
  assert.equal(await channel.receive(), null)
  assert.ok(channel.closed)
  server.close()
})
