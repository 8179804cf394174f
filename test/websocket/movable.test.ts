/** All WebSockets of a server move when their worker is to finish, each with what the application knows of it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import test, { type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import WebSocket, { type ServerOptions, WebSocketServer } from 'ws'
import { HandoverError } from '../../src/index.js'
import { movableBy } from '../../src/websocket/movable.js'
import { noLeak } from '../support/descriptors.js'
import { error } from '../support/peers.js'
import { until } from '../support/wait.js'
import { type StandIn, waysBetween } from '../support/ways.js'
import { elsewhere, pair, server, turns } from '../support/websockets.js'

const DRAIN = { successor: true, milliseconds: 60_000 }

/** A server that counts the messages of each client, here and where its WebSockets move to. */
function counting(ways: StandIn, of: WebSocketServer, name: string, as?: string) {
  const counts = new WeakMap<WebSocket, number>()
  const serve = (ws: WebSocket, count: number): void => {
    counts.set(ws, count)
    ws.on('message', (data) => {
      counts.set(ws, (counts.get(ws) ?? 0) + 1)
      ws.send(`${name} ${counts.get(ws)}: ${data}`)
    })
  }
  of.on('connection', (ws) => serve(ws, 0))
  return movableBy(ways, of, {
    ...(as !== undefined && { as }),
    state: (ws) => ({ count: counts.get(ws) }),
    resumed: (ws, state) => serve(ws, (state as { count: number }).count),
  })
}

/** What the next message says. */
const next = async (client: WebSocket): Promise<string> => String(((await once(client, 'message')) as [Buffer])[0])

async function asks(client: WebSocket, text: string): Promise<string> {
  const answer = next(client)
  client.send(text)
  return answer
}

test('one moves when asked to, with its state', async (t) => {
  noLeak(t)
  const [left, right] = await waysBetween(t)
  const here = await server(t)
  const there = elsewhere(t)
  const movable = counting(left, here.server, 'left')
  counting(right, there, 'right')
  const { client, ws } = await pair(t, here)
  assert.equal(await asks(client, 'a'), 'left 1: a')
  const moved = once(ws, 'moved')
  await movable.move(ws, { to: { worker: '7' } })
  await moved
  assert.deepEqual(left.asked, [{ as: 'websocket', to: { worker: '7' }, timeout: 5_000 }])
  assert.equal(await asks(client, 'b'), 'right 2: b')
  await assert.rejects(movable.move(ws), error('ERR_HANDOVER_NOT_MOVABLE', /is closed/))
})

test('asked to move twice at once, it moves once; where nobody takes it, it goes on, and reads', async (t) => {
  noLeak(t)
  const [left, right] = await waysBetween(t)
  const here = await server(t, { perMessageDeflate: { threshold: 0 } })
  const movable = counting(left, here.server, 'left')
  const { client, ws } = await pair(t, here, { perMessageDeflate: { threshold: 0 } })
  const twice = (): Promise<PromiseSettledResult<void>[]> => {
    ws.send('this is to be compressed first')
    return Promise.allSettled([movable.move(ws), movable.move(ws), movable.move(ws)])
  }
  const codes = (all: PromiseSettledResult<void>[]): unknown[] =>
    all.map((one) => (one.status === 'rejected' ? one.reason.code : 'moved')).sort()
  const compressed = next(client)
  const nobody = codes(await twice())
  assert.ok(nobody.includes('ERR_HANDOVER_REFUSED') && !nobody.includes('moved'), String(nobody))
  await compressed
  assert.equal(ws.isPaused, false)
  assert.equal(await asks(client, 'a'), 'left 1: a')
  counting(right, elsewhere(t), 'right')
  const again = next(client)
  const [one, two, three] = codes(await twice())
  assert.deepEqual([one, two, three], ['ERR_HANDOVER_NOT_MOVABLE', 'ERR_HANDOVER_NOT_MOVABLE', 'moved'])
  await again
  assert.equal(await asks(client, 'b'), 'right 2: b')
})

test('on drain with a successor all of them move, while their clients talk on', async (t) => {
  noLeak(t)
  const [left, right] = await waysBetween(t)
  const here = await server(t)
  const there = elsewhere(t)
  counting(left, here.server, 'left')
  counting(right, there, 'right')
  const clients: { client: WebSocket; answers: string[]; sent: number }[] = []
  for (let i = 0; i < 100; i++) {
    const { client } = await pair(t, here)
    const one = { client, answers: [] as string[], sent: 0 }
    client.on('message', (data) => one.answers.push(String(data)))
    client.on('close', () => one.answers.push('closed'))
    clients.push(one)
  }
  const talking = setInterval(() => {
    for (const one of clients) one.client.send(String(++one.sent))
  })
  t.after(() => clearInterval(talking))
  await turns('they talk', () => clients.every(({ answers }) => answers.length > 2))
  await left.drain({ successor: false, milliseconds: 1_000 })
  assert.equal(here.server.clients.size, 100) // without a successor nothing moves
  await left.drain(DRAIN)
  assert.equal(here.server.clients.size, 0)
  assert.equal(there.clients.size, 100)
  await turns('they talk on', () => clients.every(({ answers }) => answers.at(-1)?.startsWith('right')))
  clearInterval(talking)
  await turns('all is answered', () => clients.every(({ answers, sent }) => answers.length >= sent))
  for (const { answers } of clients) {
    assert.deepEqual(
      answers.map((answer) => answer.replace(/^(left|right) /, '')),
      answers.map((_, i) => `${i + 1}: ${i + 1}`),
    )
  }
})

test('where nobody takes it, it goes on here', async (t) => {
  noLeak(t)
  const [left, right] = await waysBetween(t)
  const here = await server(t)
  const movable = counting(left, here.server, 'left')
  const { client, ws } = await pair(t, here)
  await assert.rejects(movable.move(ws), error('ERR_HANDOVER_REFUSED'))
  assert.equal(await asks(client, 'a'), 'left 1: a')
  await left.drain(DRAIN) // what cannot move drains as usual
  assert.equal(await asks(client, 'b'), 'left 2: b')
  assert.deepEqual([...here.server.clients], [ws])
  counting(right, elsewhere(t), 'right')
  await movable.move(ws)
  assert.equal(await asks(client, 'c'), 'right 3: c')
})

test('one that is not at rest in time moves later, as long as the drain lasts', async (t) => {
  noLeak(t)
  const [left, right] = await waysBetween(t)
  const here = await server(t)
  const there = elsewhere(t)
  const { client, ws } = await pair(t, here)
  const heard: string[] = []
  client.on('message', (data) => heard.push(String(data)))
  movableBy(left, here.server, { timeout: 0, resumed: () => {} })
  movableBy(right, there, { resumed: (moved) => moved.send('there') })
  ws.send('a part', { fin: false })
  const drained = left.drain({ successor: true, milliseconds: 60_000 })
  await turn() // it was asked, and could not
  assert.deepEqual(left.asked, [])
  ws.send(', and the rest')
  await turns('it has moved', () => heard.length === 2)
  await drained
  assert.deepEqual(heard, ['a part, and the rest', 'there'])
  assert.deepEqual([here.server.clients.size, there.clients.size], [0, 1])
})

test('one that the other worker did not claim in time is offered again', async (t) => {
  noLeak(t)
  const [left, right] = await waysBetween(t)
  const here = await server(t)
  let late = 2
  const handOver: StandIn['handOver'] = async (socket, options) => {
    if (late-- > 0) throw new HandoverError('ERR_HANDOVER_TIMED_OUT', 'it is busy')
    return left.handOver(socket, options)
  }
  counting({ ...left, handOver }, here.server, 'left')
  counting(right, elsewhere(t), 'right')
  const { client } = await pair(t, here)
  assert.equal(await asks(client, 'a'), 'left 1: a')
  await left.drain({ successor: true, milliseconds: 60_000 })
  assert.equal(await asks(client, 'b'), 'right 2: b')
})

test('a state that throws leaves its WebSocket where it is, and comes out; the others move', async (t) => {
  noLeak(t)
  const [left, right] = await waysBetween(t)
  const here = await server(t)
  const there = elsewhere(t)
  movableBy(right, there, { resumed: (ws) => ws.on('message', () => ws.send('there')) })
  const stays = new Set<WebSocket>()
  const wrong = new Error('the application’s own')
  here.server.on('connection', (ws) => ws.on('message', () => ws.send('here')))
  const movable = movableBy(left, here.server, {
    state: (ws) => {
      if (stays.has(ws)) throw wrong
    },
    resumed: () => {},
  })
  const [one, two, other] = [await pair(t, here), await pair(t, here), await pair(t, here)]
  stays.add(one.ws)
  await assert.rejects(movable.move(one.ws), wrong)
  await assert.rejects(left.drain(DRAIN), wrong)
  assert.equal(await asks(one.client, 'x'), 'here')
  assert.equal(await asks(other.client, 'x'), 'there')
  assert.equal(await asks(two.client, 'x'), 'there')
  assert.equal(left.asked.length, 2)
})

test('what opens while the worker drains moves at once', async (t) => {
  noLeak(t)
  const [left, right] = await waysBetween(t)
  const here = await server(t)
  const there = elsewhere(t)
  counting(left, here.server, 'left')
  counting(right, there, 'right')
  await left.drain(DRAIN)
  const { client } = await pair(t, here)
  await turns('it has moved', () => there.clients.size === 1)
  assert.equal(await asks(client, 'a'), 'right 1: a')
})

/** An application that has a server of its own, and no tracking. */
async function byHand(t: TestContext, options: ServerOptions) {
  const upgrading = http.createServer().listen(0, '127.0.0.1')
  await once(upgrading, 'listening')
  t.after(() => upgrading.close())
  const made = new WebSocketServer({ noServer: true, ...options })
  upgrading.on('upgrade', (request, socket, head) => {
    made.handleUpgrade(request, socket, head, (ws) => made.emit('connection', ws, request))
  })
  const opened = async (): Promise<WebSocket> => ((await once(made, 'connection')) as [WebSocket])[0]
  return { server: made, port: (upgrading.address() as AddressInfo).port, next: opened }
}

test('servers without a port, and without tracking, are served like others; names keep several apart', async (t) => {
  noLeak(t)
  const [left, right] = await waysBetween(t)
  const chat = await byHand(t, { clientTracking: false })
  const news = await byHand(t, {})
  const chatThere = new WebSocketServer({ noServer: true, clientTracking: false })
  counting(left, chat.server, 'chat here', 'chat')
  counting(left, news.server, 'news here', 'news')
  const movable = counting(right, chatThere, 'chat there', 'chat')
  counting(right, elsewhere(t), 'news there', 'news')
  const chats = [await pair(t, chat), await pair(t, chat)] as const
  const reader = await pair(t, news)
  chats[1].client.close()
  await once(chats[1].ws, 'close')
  assert.equal(await asks(chats[0].client, 'a'), 'chat here 1: a')
  await left.drain(DRAIN)
  assert.deepEqual(left.asked.map(({ as }) => as).sort(), ['chat', 'news'])
  assert.equal(await asks(chats[0].client, 'b'), 'chat there 2: b')
  assert.equal(await asks(reader.client, 'c'), 'news there 1: c')
  // What was resumed there is known there, too.
  counting(left, elsewhere(t), 'chat back', 'back')
  movable.close()
  await right.drain(DRAIN)
  assert.equal(await asks(chats[0].client, 'd'), 'chat there 3: d')
})

test('resumed and untracked, it moves on', async (t) => {
  noLeak(t)
  const [left, right] = await waysBetween(t)
  const here = await server(t)
  const there = new WebSocketServer({ noServer: true, clientTracking: false })
  const movable = counting(left, here.server, 'left')
  counting(right, there, 'right')
  const { client, ws } = await pair(t, here)
  await movable.move(ws)
  assert.equal(await asks(client, 'a'), 'right 1: a')
  await right.drain(DRAIN)
  assert.equal(await asks(client, 'b'), 'left 2: b')
  assert.equal(here.server.clients.size, 1)
})

test('what has closed or moved is held by nothing', async (t) => {
  const [left, right] = await waysBetween(t)
  const here = await byHand(t, { clientTracking: false })
  const movable = movableBy(left, here.server, { resumed: () => {} })
  movableBy(right, elsewhere(t), { resumed: () => {} })
  const gone: WeakRef<WebSocket>[] = []
  const some = async (): Promise<void> => {
    const one = await pair(t, here)
    const two = await pair(t, here)
    gone.push(new WeakRef(one.ws), new WeakRef(two.ws))
    await movable.move(one.ws)
    two.client.close()
    await once(two.ws, 'close')
  }
  await some()
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await until('both are collected', () => {
    collect()
    return gone.every((each) => each.deref() === undefined)
  })
})

test('closed, it neither moves nor takes, and the server is as before', async (t) => {
  noLeak(t)
  const [left, right] = await waysBetween(t)
  const here = await server(t)
  const movable = counting(left, here.server, 'left')
  assert.ok(Object.hasOwn(here.server, 'handleUpgrade'))
  movable.close()
  movable.close()
  assert.ok(!Object.hasOwn(here.server, 'handleUpgrade'))
  counting(right, elsewhere(t), 'right')
  const { client } = await pair(t, here)
  await left.drain(DRAIN)
  assert.equal(await asks(client, 'a'), 'left 1: a')
  assert.throws(() => movableBy(left, here.server, {} as never), { message: /^resumed: a function/ })
  assert.throws(() => movableBy(left, {} as never, { resumed: () => {} }), { message: /^server: a WebSocketServer/ })
})
