/** Connections that workers hand over through the master have one owner, whoever dies, whenever. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { HandoverError } from '../../src/index.js'
import { release } from '../../src/index.js'
import { isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { isStopped } from '../support/keepers.js'
import { passing, type Talk, talk, workerOf } from '../support/passing.js'
import { fixture, scratch } from '../support/paths.js'
import { type ChannelPeer, error, soon, watched } from '../support/peers.js'
import { allClosed, heard, said } from '../support/programs.js'
import type { Supervised } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** Waits until the numbers of the workers are these, and nothing is on its way. */
async function counted({ supervisor }: Supervised, open: number[], what: string): Promise<void> {
  const now = (): number[][] => supervisor.status().workers.map((one) => [one.open, one.unclaimed, one.queued])
  const expected = open.map((count) => [count, 0, 0])
  await until(what, () => JSON.stringify(now()) === JSON.stringify(expected)).catch(() => {})
  assert.deepEqual(now(), expected, what)
}

/** A client of a worker, which has answered one line. */
async function clientOf(t: TestContext, { port }: { port: number }, worker: number): Promise<Talk> {
  let client = await talk(t, port)
  let tries = 0
  await until(`a connection with worker ${worker}`, async () => {
    client.say('hello')
    if (workerOf(await client.hears(1)) === worker) return true
    client.socket.destroy()
    assert.ok(tries++ < 50, `a connection with worker ${worker}`)
    client = await talk(t, port)
    return false
  })
  return client
}

async function stop(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await until('it has stopped', () => isStopped(readFileSync(`/proc/${pid}/stat`, 'utf8')))
}

const to = (worker: number): { as: string; to: { worker: string } } => ({ as: 'lines', to: { worker: String(worker) } })

for (const others of [1, 2]) {
  const what = others === 1 ? 'goes on where it was' : 'is offered to another worker'
  test(`killed before it has read the offer, the connection ${what}`, async (t) => {
    noLeak(t)
    const app = await passing(t, { workers: 1 + others })
    const client = await clientOf(t, app, 1)
    if (others === 2) await clientOf(t, app, 3) // of two the one with fewer connections is asked first
    await counted(app, others === 1 ? [1, 0] : [1, 0, 1], 'the second has none')
    await stop(app.pids()[1] as number)
    client.say(`${JSON.stringify({ as: 'lines' })}\nbehind`)
    await until('the worker is offered it', () => app.supervisor.status().workers[1]?.unclaimed === 1)
    process.kill(app.pids()[1] as number, 'SIGKILL')
    if (others === 1) assert.equal(await client.hears(2), 'kept ERR_HANDOVER_REFUSED')
    assert.equal(await client.hears(4 - others), `${others === 1 ? 1 : 3}:2:behind`)
  })
}

test('killed when it has read the offer and its answer is not in the kernel: the connection is another’s', async (t) => {
  noLeak(t)
  const app = await passing(t, { workers: 3, env: { ...process.env, MUTE: '2' } })
  const client = await clientOf(t, app, 1)
  client.say(`${JSON.stringify(to(2))}\nbehind`)
  await heard(app, 'mute')
  process.kill(app.pids()[1] as number, 'SIGKILL')
  assert.equal(await client.hears(2), 'kept ERR_HANDOVER_REFUSED')
  assert.equal(await client.hears(3), '1:2:behind')
  assert.match(said<{ message: string }>(app, 'kept')[0]?.message ?? '', /worker 2: it ended before it took/)
})

test('killed when it has claimed: the connection ends with it, and the sender knows that it was claimed', async (t) => {
  noLeak(t)
  const app = await passing(t)
  const client = await clientOf(t, app, 1)
  client.say({ as: 'dies' })
  await heard(app, 'gave')
  await until('the client sees the end', client.ended)
})

test('the sender is killed behind its offer: another worker has the connection, with all bytes', async (t) => {
  noLeak(t)
  const app = await passing(t)
  const client = await clientOf(t, app, 1)
  client.say(`${JSON.stringify({ ...to(2), die: true })}\nbehind`)
  assert.equal(await client.hears(2), '2:2:behind')
  await until('its place is filled again', () => app.supervisor.status().workers.every(({ ready }) => ready))
  await counted(app, [0, 1], 'it counts where it is')
})

test('the sender is killed while the other does not answer: the other has it when it wakes', async (t) => {
  noLeak(t)
  const app = await passing(t)
  const client = await clientOf(t, app, 1)
  const [sender, other] = app.pids() as [number, number]
  await stop(other)
  client.say(`${JSON.stringify(to(2))}\nbehind`)
  await until('the worker is offered it', () => app.supervisor.status().workers[1]?.unclaimed === 1)
  process.kill(sender, 'SIGKILL')
  await until('it is gone', () => !isAlive(sender))
  process.kill(other, 'SIGCONT')
  assert.equal(await client.hears(2), '2:2:behind')
})

test('sender and receiver are killed: the client sees the end', async (t) => {
  noLeak(t)
  const app = await passing(t)
  const client = await clientOf(t, app, 1)
  const [sender, other] = app.pids() as [number, number]
  await stop(other)
  client.say({ ...to(2), die: true })
  await until('the sender is gone', () => !isAlive(sender))
  process.kill(other, 'SIGKILL')
  await until('the client sees the end', client.ended)
  await until('places are filled again', () => app.supervisor.status().workers.every(({ ready }) => ready))
  await counted(app, [0, 0], 'nothing is left')
})

for (const [how, order, answer] of [
  ['in time', { timeout: 200 }, 'kept ERR_HANDOVER_TIMED_OUT'],
  ['and aborted', { abortAfter: 200 }, 'kept aborted'],
] as const) {
  test(`not taken ${how}, connections that were not offered yet come back, the others have one owner`, async (t) => {
    noLeak(t)
    const app = await passing(t, { workers: 3 })
    const all = await Promise.all(Array.from({ length: 180 }, () => talk(t, app.port)))
    for (const client of all) client.say('hello')
    await Promise.all(all.map((client) => client.hears(1)))
    const clients = all.filter(({ lines: [first] }) => workerOf(first as string) !== 2)
    assert.ok(clients.length >= 100)
    const pid = app.pids()[1] as number
    await stop(pid)
    for (const client of clients) client.say(`${JSON.stringify({ ...to(2), ...order })}\nbehind`)
    const kept = (): Talk[] => clients.filter(({ lines }) => lines[1] === answer)
    await until('what was not offered is back', () => kept().length === clients.length - 64)
    process.kill(pid, 'SIGCONT')
    await Promise.all(clients.map((client) => client.hears(client.lines[1] === answer ? 3 : 2)))
    for (const client of clients) {
      client.say('after')
      const back = client.lines[1] === answer
      const lines = back ? client.lines.slice(2) : client.lines.slice(1)
      const at = back ? workerOf(client.lines[0] as string) : 2
      assert.deepEqual(lines, [`${at}:2:behind`])
      assert.equal(await client.hears(back ? 4 : 3), `${at}:3:after`)
    }
    assert.equal(kept().length, clients.length - 64)
  })
}

interface Master extends ChannelPeer {
  readonly port: number
  readonly workers: [number, number]
  /** Where workers say what came back to them: without the master nobody hears them. */
  readonly kept: string
}

/** A master in a process of its own; it and its workers end with the test. */
async function master(t: TestContext): Promise<Master> {
  const folder = scratch(t)
  const env = { ...process.env, KEPT: join(folder, 'kept') }
  const child = spawn(process.execPath, [fixture('relay-master.mjs')], { stdio: ['pipe', 'pipe', 'pipe'], env })
  const peer = watched(t, child)
  const { port, pids } = await peer.hears<{ port: number; pids: [number, number] }>('ready')
  t.after(() => {
    for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
  return { ...peer, port, workers: pids, kept: join(folder, 'kept') }
}

for (const claimed of [true, false]) {
  test(`the master is killed in the middle, the connection ${claimed ? 'was claimed' : 'was not'}: it has one owner at most`, async (t) => {
    noLeak(t)
    const app = await master(t)
    const client = await clientOf(t, app, 1)
    const stays = await clientOf(t, app, 1)
    await stop(app.workers[1])
    const before = app.said('unclaimed').length
    client.say(`${JSON.stringify(to(2))}\nbehind`)
    await app.hears('unclaimed', before + 1)
    await stop(app.pid)
    if (claimed) {
      process.kill(app.workers[1], 'SIGCONT')
      assert.equal(await client.hears(2), '2:2:behind')
    }
    process.kill(app.pid, 'SIGKILL')
    await until('the sender knows', () => existsSync(app.kept) && readFileSync(app.kept, 'utf8').endsWith('\n'))
    assert.equal(readFileSync(app.kept, 'utf8'), 'ERR_HANDOVER_PEER_GONE true\n')
    stays.say('still here')
    assert.match(await stays.hears(2), /^1:2:/)
    if (!claimed) process.kill(app.workers[1], 'SIGCONT')
    if (claimed) {
      client.say('after')
      assert.equal(await client.hears(3), '2:3:after')
    } else {
      await until('the client sees the end', client.ended)
      assert.equal(client.lines.length, 1)
    }
  })
}

test('limits and policy see a connection where it is', async (t) => {
  noLeak(t)
  const app = await passing(t, { maxConnections: 3 })
  const one = [await clientOf(t, app, 1), await clientOf(t, app, 1)]
  await counted(app, [2, 0], 'those of the other worker are closed')
  for (let i = 0; i < 2; i++) await clientOf(t, app, 2)
  await counted(app, [2, 2], 'and those of the first')
  one[0]?.say(`${JSON.stringify(to(2))}\nmoved`)
  assert.equal(await one[0]?.hears(2), '2:2:moved')
  await counted(app, [1, 3], 'one has moved')
  one[1]?.say(to(2))
  assert.equal(await one[1]?.hears(2), 'kept ERR_HANDOVER_REFUSED')
  // the other worker is full: every new connection is the first one's
  for (let i = 1; i < 3; i++) await clientOf(t, app, 1)
  const late = await talk(t, app.port)
  late.say('waits')
  one[0]?.socket.destroy()
  assert.equal(await late.hears(1), '2:1:waits')
  await counted(app, [3, 3], 'both are full')
})

/** A server of this process, and the next connection that comes to it. */
async function accepted(t: TestContext): Promise<{ client: Talk; socket: net.Socket }> {
  const server = net.createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => server.close())
  const [client, [socket]] = await Promise.all([
    talk(t, (server.address() as net.AddressInfo).port),
    once(server, 'connection') as Promise<[net.Socket]>,
  ])
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  return { client, socket }
}

test('a master hands over what it has greeted, by name or to a port', async (t) => {
  noLeak(t)
  const app = await passing(t)
  const named = await accepted(t)
  named.client.say('to be read')
  await once(named.socket, 'readable')
  const unread = Buffer.from('read already\n')
  const given = app.supervisor.handOver(named.socket, { as: 'lines', state: { lines: 5 }, unread, to: { worker: '2' } })
  assert.equal(named.socket.destroyed, false)
  await soon(given)
  assert.equal(named.socket.destroyed, true)
  assert.equal(await named.client.hears(2), '2:7:to be read')
  assert.equal(named.client.lines[0], '2:6:read already')

  const there = await accepted(t)
  await soon(app.supervisor.handOver(there.socket, { port: app.port }))
  there.client.say('hello')
  assert.match(await there.client.hears(1), /^\d:1:hello$/)

  const bare = await accepted(t)
  const transport = await release(bare.socket)
  await soon(app.supervisor.handOver(transport, { port: app.port, to: { worker: '1' } }))
  bare.client.say('hello')
  assert.equal(await bare.client.hears(1), '1:1:hello')
  await until('all count', () => app.supervisor.status().workers.reduce((sum, { open }) => sum + open, 0) === 3)
  for (const { client } of [named, there, bare]) client.socket.destroy()
  await allClosed(app.supervisor)
})

test('what a master cannot hand over stays its own', async (t) => {
  noLeak(t)
  const app = await passing(t, { maxTotal: 1 })
  const { client, socket } = await accepted(t)
  const hand = (options: object): Promise<void> => app.supervisor.handOver(socket, options)
  await assert.rejects(hand({}), /^TypeError: port: a number or a path, where there is no `as`, not undefined/)
  await assert.rejects(hand({ as: 'lines', port: 1 }), /^TypeError: port: only without `as`/)
  await assert.rejects(hand({ port: app.port, state: 1 }), /^TypeError: state: needs `as`/)
  await assert.rejects(hand({ as: 'lines', unread: 'text' }), /^TypeError: unread: a Uint8Array/)
  await assert.rejects(hand({ as: 'lines', state: () => {} }), /^TypeError: state: any JSON/)
  await assert.rejects(hand({ as: 'lines', to: { worker: 1 } }), /^TypeError: to.worker: a text, not 1/)
  await assert.rejects(hand({ as: 'lines', too: {} }), /^TypeError: too: no such option/)
  await assert.rejects(app.supervisor.handOver({} as net.Socket, { as: 'lines' }), /^TypeError: socket: a net.Socket/)
  await assert.rejects(hand({ port: 1 }), error('ERR_HANDOVER_REFUSED', /no worker listens on 1/))
  await assert.rejects(hand({ as: 'none' }), error('ERR_HANDOVER_REFUSED', /no other worker that takes "none"/))
  await assert.rejects(hand({ as: 'lines', signal: AbortSignal.abort(new Error('enough')) }), /enough/)
  const only = await talk(t, app.port)
  only.say('hello')
  await only.hears(1)
  await assert.rejects(hand({ as: 'lines' }), error('ERR_HANDOVER_REFUSED', /as they may in all/))
  socket.on('data', (bytes) => socket.write(`here ${bytes}`))
  client.say('hello')
  assert.equal(await client.hears(1), 'here hello')
})

test('two that wait for their output to be sent are not both taken where one may be', async (t) => {
  noLeak(t)
  const app = await passing(t, { maxTotal: 1 })
  const both = [await accepted(t), await accepted(t)]
  for (const { client, socket } of both) {
    client.socket.pause()
    socket.write('x'.repeat(16 * 1024 * 1024))
  }
  const given = both.map(({ socket }) => app.supervisor.handOver(socket, { as: 'lines', state: { lines: 0 } }))
  for (const { client } of both) client.socket.resume()
  const settled = await Promise.allSettled(given)
  assert.deepEqual(settled.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  await until('it is known', () => app.supervisor.status().workers.some(({ open }) => open === 1))
})

test('output that is still here goes first; what is stopped meanwhile stays', async (t) => {
  noLeak(t)
  const app = await passing(t)
  const { client, socket } = await accepted(t)
  const bulk = 16 * 1024 * 1024
  client.socket.pause()
  socket.write('x'.repeat(bulk))
  const late = await app.supervisor
    .handOver(socket, { as: 'lines', timeout: 50, flushTimeout: 200 })
    .catch((failed: HandoverError) => failed.code)
  assert.equal(late, 'ERR_HANDOVER_TIMED_OUT')
  const given = app.supervisor.handOver(socket, { as: 'lines', state: { lines: 0 } })
  client.socket.resume()
  await soon(given)
  client.say('y\nlast')
  await client.hears(2)
  assert.match(client.lines[0] as string, /^x+\d:1:y$/)
  assert.equal(client.lines[0]?.length, bulk + '1:1:y'.length)
})
