import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client'
import WebSocket from 'ws'
import { get } from '../support/client.js'
import { fixture } from '../support/paths.js'
import { allClosed, fromEach, next } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

interface Sum {
  pid: number
  sum: number
}

test('an Express application routes, parses bodies and handles errors in every worker', async (t) => {
  const { supervisor, port, pids } = await supervise(t, { script: fixture('express-pid.mjs'), workers: 2 })
  await fromEach(pids(), async (turn) => {
    const { status, body } = await get({ port }, `/hello/${turn}`)
    assert.equal(status, 200)
    const [pid, ...rest] = body.split(' ')
    assert.deepEqual(rest, ['hello', String(turn)])
    return Number(pid)
  })
  await fromEach(pids(), async (turn) => {
    const answer = await fetch(`http://127.0.0.1:${port}/sum`, {
      method: 'POST',
      body: JSON.stringify({ a: turn, b: 1 }),
      headers: { 'content-type': 'application/json', connection: 'close' },
    })
    const { pid, sum } = (await answer.json()) as Sum
    assert.equal(sum, turn + 1)
    return pid
  })
  const failed = await get({ port }, '/fails')
  assert.equal(failed.status, 500)
  assert.match(failed.body, /^\d+ as asked$/)
  await allClosed(supervisor)
})

test('a Fastify application answers in every worker, and closes itself when the workers are stopped', async (t) => {
  const { supervisor, port, pids, lines, events } = await supervise(t, {
    script: fixture('fastify-pid.mjs'),
    workers: 2,
  })
  await fromEach(pids(), async (turn) => {
    const { pid, sum } = JSON.parse((await get({ port }, `/sum?a=${turn}&b=2`)).body) as Sum
    assert.equal(sum, turn + 2)
    return pid
  })
  await supervisor.stop()
  const ends = events.filter(({ name }) => name === 'ended')
  assert.deepEqual(
    ends.map(({ end }) => end),
    [
      { code: 0, signal: null },
      { code: 0, signal: null },
    ],
  )
  await until('both applications have closed', () => lines.filter((line) => line === 'fastify is closed').length === 2)
})

test('a ws server echoes text and binary in every worker, and shakes hands when it closes', async (t) => {
  const { supervisor, port, pids, lines } = await supervise(t, { script: fixture('ws-echo.mjs'), workers: 2 })
  await fromEach(pids(), async (turn) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`)
    const [greeting] = await next(socket, 'message')
    socket.send(`text ${turn}`)
    assert.deepEqual(await next(socket, 'message'), [Buffer.from(`text ${turn}`), false])
    const bytes = Buffer.alloc(100_000, turn)
    socket.send(bytes)
    assert.deepEqual(await next(socket, 'message'), [bytes, true])
    socket.close(4321, 'enough')
    const [code] = await once(socket, 'close')
    assert.equal(code, 4321)
    return Number(greeting)
  })
  await until(
    'the servers have heard the reasons',
    () => lines.filter((line) => line === 'closed 4321 enough').length >= 2,
  )
  await fromEach(pids(), async () => Number((await get({ port })).body))
  await allClosed(supervisor)
})

/** Has `value` echoed over a Socket.IO connection of its own. @returns who answered */
async function overSocketIo(port: number, options: Partial<ManagerOptions & SocketOptions>): Promise<number> {
  const socket: Socket = io(`http://127.0.0.1:${port}`, { ...options, forceNew: true, reconnection: false })
  try {
    const value = { text: 'ü', bytes: Buffer.from([0, 255]) }
    const answer = (await socket.timeout(9_000).emitWithAck('echo', value)) as { pid: number; value: typeof value }
    assert.deepEqual(answer.value, value)
    return answer.pid
  } finally {
    socket.close()
  }
}

test('a Socket.IO server is answered by every worker over WebSockets', async (t) => {
  const { supervisor, port, pids } = await supervise(t, { script: fixture('socketio-echo.mjs'), workers: 2 })
  await fromEach(pids(), () => overSocketIo(port, { transports: ['websocket'] }))
  await allClosed(supervisor)
})

test('Socket.IO polls over many connections, so it needs a policy that keeps a client with one worker', async (t) => {
  const { supervisor, port, pids } = await supervise(t, {
    script: fixture('socketio-echo.mjs'),
    workers: 2,
    policy: ({ peer }) => (peer?.address === '127.0.0.1' ? '2' : '1'),
  })
  assert.equal(await overSocketIo(port, { transports: ['polling'] }), pids()[1])
  assert.equal(await overSocketIo(port, { transports: ['polling', 'websocket'] }), pids()[1])
  await allClosed(supervisor)
})
