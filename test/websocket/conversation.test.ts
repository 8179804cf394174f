/** The client of a WebSocket that moves notices nothing, whatever both sides are doing. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import test from 'node:test'
import WebSocket from 'ws'
import { putTogether, ready, takeApart } from '../../src/websocket/index.js'
import { noLeak } from '../support/descriptors.js'
import { error } from '../support/peers.js'
import { until } from '../support/wait.js'
import {
  elsewhere,
  frame,
  hasRead,
  heard,
  moveHere,
  pair,
  rawPair,
  server,
  socketOf,
  TEXT,
  turns,
} from '../support/websockets.js'

const MOVES = 10

test('both sides number their messages, and count on through ten moves', async (t) => {
  noLeak(t)
  const here = await server(t)
  const servers = [here.server, elsewhere(t), elsewhere(t)]
  const { client, ws } = await pair(t, here)
  const got = { here: 0, there: 0 }
  const wrong: string[] = []
  const serve = (end: WebSocket): void => {
    end.on('message', (data) => {
      if (Number(data) !== got.here++) wrong.push(`the server heard ${data} for ${got.here - 1}`)
    })
  }
  client.on('message', (data) => {
    if (Number(data) !== got.there++) wrong.push(`the client heard ${data} for ${got.there - 1}`)
  })
  for (const what of ['close', 'error', 'unexpected-response'])
    client.on(what, (...seen) => wrong.push(`${what} ${seen}`))
  let sent = 0
  let pushed = 0
  const talking = setInterval(() => {
    for (let i = 0; i < 7; i++) client.send(String(sent++))
  })
  t.after(() => clearInterval(talking))
  let current = ws
  serve(current)
  for (let move = 0; move < MOVES; move++) {
    const heardBefore = got.here
    for (let i = 0; i < 50; i++) current.send(String(pushed++))
    await ready(current)
    const from = servers.find(({ clients }) => clients.has(current)) as (typeof servers)[0]
    current = await moveHere(from, current, servers[(move % 2) + 1] as (typeof servers)[0])
    serve(current)
    await turns('the conversation goes on', () => got.here > heardBefore + 20)
  }
  clearInterval(talking)
  await turns('all is heard', () => got.here === sent && got.there === pushed)
  assert.deepEqual(wrong, [])
  assert.equal(client.readyState, client.OPEN)
})

test('a message of 1 MiB comes whole through three moves in its middle', async (t) => {
  noLeak(t)
  const here = await server(t)
  const there = elsewhere(t)
  const { client, ws } = await rawPair(t, here)
  const message = randomBytes(1_048_576)
  const bytes = frame(TEXT + 1, message)
  const start = socketOf(ws).bytesRead
  client.write(bytes.subarray(0, 300_000))
  await hasRead(ws, start + 300_000)
  await ready(ws)
  let current = await moveHere(here.server, ws, there)
  for (const end of [600_000, 900_000]) {
    client.write(bytes.subarray(end - 300_000, end))
    await hasRead(current, 300_000)
    await ready(current)
    current = await moveHere(there, current, there)
  }
  const heardIt = once(current, 'message')
  client.write(bytes.subarray(900_000))
  const [data] = (await heardIt) as [Buffer]
  assert.ok(data.equals(message))
})

test('output that the client does not take is waited for, no longer than said', async (t) => {
  noLeak(t)
  const here = await server(t)
  const there = elsewhere(t)
  const { client, ws } = await pair(t, here)
  client.pause()
  const messages = Array.from({ length: 12 }, () => randomBytes(1_048_576))
  for (const message of messages) ws.send(message)
  const pending = /\d+ bytes of output are still in this process/
  assert.throws(() => takeApart(here.server, ws), error('ERR_HANDOVER_NOT_MOVABLE', pending))
  await assert.rejects(ready(ws, { timeout: 30 }), error('ERR_HANDOVER_NOT_MOVABLE', /after 30 ms: try again later/))
  await assert.rejects(ready(ws, { timeout: 0 }), error('ERR_HANDOVER_NOT_MOVABLE', pending))
  const stop = new AbortController()
  const stopped = assert.rejects(ready(ws, { signal: stop.signal }), { name: 'AbortError' })
  stop.abort()
  await stopped
  const got: Buffer[] = []
  client.on('message', (data: Buffer) => got.push(data))
  client.resume()
  await ready(ws)
  const moved = await moveHere(here.server, ws, there)
  moved.send('behind them')
  await until('all has come', () => got.length > messages.length)
  assert.ok(messages.every((message, i) => got[i]?.equals(message)))
  assert.equal(String(got.at(-1)), 'behind them')
})

test('whoever waits for it, a pause that the program wants is kept, and ends when the program says', async (t) => {
  const perMessageDeflate = { clientNoContextTakeover: true }
  const here = await server(t, { perMessageDeflate })
  const { client, ws } = await pair(t, here, { perMessageDeflate })
  const events = heard(ws)
  const waits = async (meanwhile: () => void): Promise<void> => {
    ws.send('x'.repeat(10_000)) // is being compressed
    const all = [ready(ws), ready(ws)]
    const stop = new AbortController()
    const stopped = assert.rejects(ready(ws, { signal: stop.signal }))
    stop.abort()
    await stopped
    assert.equal(ws.isPaused, true) // for the others
    meanwhile()
    await Promise.all(all)
  }
  await waits(() => ws.pause())
  assert.equal(ws.isPaused, true)
  client.send('one')
  await waits(() => ws.resume())
  assert.equal(ws.isPaused, false)
  await turns('it is heard', () => events.length === 1)
  await waits(() => {})
  client.send('two')
  await turns('it is heard', () => events.length === 2)
  assert.ok(!Object.hasOwn(ws, 'pause') && !Object.hasOwn(ws, 'resume') && !Object.hasOwn(ws, 'close'))
})

test('from within a listener it cannot be taken apart; behind it, it can', async (t) => {
  const here = await server(t)
  const { client, ws } = await pair(t, here)
  const tried = new Promise<unknown>((resolve) => {
    ws.once('message', () => {
      try {
        resolve(takeApart(here.server, ws))
      } catch (thrown) {
        resolve(thrown)
      }
    })
  })
  client.send('now')
  error('ERR_HANDOVER_NOT_MOVABLE', /being read or delivered: wait for ready/)(await tried)
  await ready(ws)
  takeApart(here.server, ws).restore()
})

test('apart it is closing: nothing is sent on it, and whoever sends is told', async (t) => {
  const here = await server(t)
  const { ws } = await pair(t, here)
  const apart = takeApart(here.server, ws)
  assert.equal(ws.readyState, ws.CLOSING)
  await assert.rejects(new Promise<void>((resolve, reject) => ws.send('x', (e) => (e ? reject(e) : resolve()))), {
    message: /WebSocket is not open: readyState 2/,
  })
  assert.throws(() => takeApart(here.server, ws), error('ERR_HANDOVER_NOT_MOVABLE', /on its way already/))
  apart.restore()
  assert.equal(ws.bufferedAmount, 0)
  await new Promise<void>((resolve, reject) => ws.send('x', (e) => (e ? reject(e) : resolve())))
})

test('what was called while it was apart takes effect when it is restored', async (t) => {
  noLeak(t)
  const here = await server(t)
  const closed = await pair(t, here)
  const first = takeApart(here.server, closed.ws)
  closed.ws.close(4001, 'enough')
  closed.ws.close(4002)
  first.restore()
  assert.deepEqual((await once(closed.client, 'close')).map(String), ['4001', 'enough'])

  const terminated = await pair(t, here)
  const second = takeApart(here.server, terminated.ws)
  const gone = once(terminated.ws, 'close')
  terminated.ws.terminate()
  await once(second.socket, 'close')
  second.restore()
  assert.equal((await gone)[0], 1006)

  const paused = await pair(t, here)
  const events = heard(paused.ws)
  const third = takeApart(here.server, paused.ws)
  paused.ws.pause()
  third.restore()
  paused.client.send('hello')
  await hasRead(paused.ws, socketOf(paused.ws).bytesRead + 11)
  assert.deepEqual(events, [])
  const fourth = takeApart(here.server, paused.ws)
  assert.equal(fourth.state.paused, true)
  paused.ws.resume()
  fourth.restore()
  await turns('it is read', () => events.length === 1)
  assert.equal(here.server.clients.size, 1)
})

test('what the client did while it was apart is seen when it is restored', async (t) => {
  noLeak(t)
  const here = await server(t)
  const closing = await pair(t, here)
  const closed = heard(closing.ws)
  const first = takeApart(here.server, closing.ws)
  closing.client.close(4003, 'bye')
  await hasRead(closing.ws, socketOf(closing.ws).bytesRead + 11)
  first.restore()
  await turns('it is closed', () => closed.length > 0)
  assert.deepEqual(closed, [['close', '4003', 'bye']])

  const reset = await rawPair(t, here)
  const cut = heard(reset.ws)
  const second = takeApart(here.server, reset.ws)
  reset.client.resetAndDestroy()
  await turns('it is gone', () => second.socket.destroyed)
  second.restore()
  await turns('that is noticed', () => cut.length > 0)
  assert.deepEqual(cut, [['close', '1006', '']])

  const ended = await rawPair(t, here)
  const last = heard(ended.ws)
  const third = takeApart(here.server, ended.ws)
  ended.client.end()
  await once(third.socket, 'end')
  third.restore()
  await turns('that is noticed', () => last.length > 0)
  assert.deepEqual(last, [['close', '1006', '']])
  assert.equal(here.server.clients.size, 0)
})

test('the client may close while it moves: that is heard where it has come to', async (t) => {
  noLeak(t)
  const here = await server(t)
  const there = elsewhere(t)
  const { client, ws } = await pair(t, here)
  const old = heard(ws)
  const apart = takeApart(here.server, ws)
  client.send('last words')
  client.close(4004, 'bye')
  const current = putTogether(there, apart.socket, apart.state, apart.unread)
  const events = heard(current)
  apart.moved()
  const [code] = await once(client, 'close')
  assert.equal(code, 4004)
  assert.deepEqual(old, [['moved']])
  assert.deepEqual(events, [
    ['text', 'last words'],
    ['close', '4004', 'bye'],
  ])
  assert.equal(there.clients.size, 0)
})

test('what it is goes along: subprotocol, binaryType, pause', async (t) => {
  noLeak(t)
  const here = await server(t)
  class Own extends WebSocket {}
  const there = elsewhere(t, { WebSocket: Own })
  const { client, ws } = await pair(t, here, {}, ['chat', 'other'])
  assert.equal(ws.protocol, 'chat')
  ws.binaryType = 'arraybuffer'
  ws.pause()
  const moved = await moveHere(here.server, ws, there)
  assert.ok(moved instanceof Own)
  assert.equal(moved.protocol, 'chat')
  assert.equal(moved.binaryType, 'arraybuffer')
  assert.equal(moved.isPaused, true)
  client.send(Buffer.from('x'))
  await hasRead(moved, 7)
  const first = once(moved, 'message')
  moved.resume()
  assert.ok(((await first) as [unknown])[0] instanceof ArrayBuffer)
  assert.equal(ws.readyState, ws.CLOSED)
  ws.close() // as on any that is closed
  ws.terminate()
  ws.pause()
})

test('an interval over server.clients that pings and terminates the silent finds it where it is', async (t) => {
  const here = await server(t)
  const there = elsewhere(t)
  const { client, ws } = await pair(t, here)
  const alive = new Map<WebSocket, boolean>()
  const look = async (clients: Set<WebSocket>): Promise<void> => {
    for (const each of clients) {
      if (alive.get(each) === false) each.terminate()
      alive.set(each, false)
      each.once('pong', () => alive.set(each, true))
      each.ping()
    }
  }
  await look(here.server.clients)
  await turns('it answers', () => alive.get(ws) === true)
  const moved = await moveHere(here.server, ws, there)
  for (let i = 0; i < 3; i++) {
    await look(here.server.clients)
    await look(there.clients)
    await turns('it answers', () => alive.get(moved) === true)
  }
  assert.equal(client.readyState, client.OPEN)
})

test('a server that is closing has closed when its last WebSocket has moved, and the other one’s when it ends', async (t) => {
  noLeak(t)
  const here = await server(t)
  const there = elsewhere(t)
  const { client, ws } = await pair(t, here)
  const closed = once(here.server, 'close')
  here.server.close()
  await moveHere(here.server, ws, there)
  await closed
  const closedThere = once(there, 'close')
  there.close()
  client.close()
  await closedThere
})
