/** Workers that take hand-overs and listen nowhere are ready like others: at the start, in a reload, when they stop. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type net from 'node:net'
import test, { type TestContext } from 'node:test'
import { connection } from '../support/connections.js'
import { noLeak } from '../support/descriptors.js'
import { error, soon } from '../support/peers.js'
import { program } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'

const index = JSON.stringify(new URL('../../src/index.js', import.meta.url).href)

/** Takes sessions and counts their bytes; a session moves to the successor. `more` may listen as well. */
const app = (more = '') => `
  import net from 'node:net'
  import { handOver, onDrain, onHandOver } from ${index}
  const { HANDOVER_GENERATION: generation } = process.env
  const open = new Map()
  onHandOver('session', (socket, { bytes }) => {
    open.set(socket, bytes)
    socket.on('close', () => open.delete(socket))
    socket.on('data', (piece) => {
      open.set(socket, open.get(socket) + piece.length)
      socket.write(generation + ' ' + open.get(socket))
    })
  })
  onDrain(({ successor }) => {
    if (!successor) return
    return Promise.all([...open].map(([socket, bytes]) => handOver(socket, { as: 'session', state: { bytes } })))
  })
  ${more}`

async function answer(client: net.Socket, words: string): Promise<string> {
  client.write(words)
  return String(((await once(client, 'data')) as [Buffer])[0])
}

const states = ({ supervisor }: Supervised): string[] =>
  supervisor.status().workers.map(({ generation, state, ready }) => `${generation} ${state} ${ready}`)

for (const threads of [false, true]) {
  test(`workers that only take hand-overs start, are replaced, and stop (${threads ? 'threads' : 'processes'})`, async (t) => {
    noLeak(t)
    const one = await soon(supervise(t, { script: program(t, app()), workers: 2, threads }))
    assert.deepEqual(states(one), ['1 ready true', '1 ready true'])
    const { client, socket } = await connection(t)
    await one.supervisor.handOver(socket, { as: 'session', state: { bytes: 3 } })
    assert.equal(await answer(client, 'abc'), '1 6')
    assert.deepEqual(await soon(one.supervisor.reload()), { generation: 2 })
    assert.deepEqual(states(one), ['2 ready true', '2 ready true'])
    assert.equal(await answer(client, 'd'), '2 7')
    client.destroy()
    await soon(one.supervisor.stop())
    const ends = one.events.filter(({ name }) => name === 'ended').map(({ end }) => end)
    assert.deepEqual(ends, Array(4).fill({ code: 0, signal: null }))
  })
}

/** A port of its own, so that each start needs it. */
const LISTENS = `net.createServer().listen(0, '127.0.0.1')`

test('a worker that listens as well is ready when it listens', async (t: TestContext) => {
  const one = await supervise(t, { script: program(t, app(LISTENS)) })
  assert.ok(one.port > 0)
  const silent = program(t, app('setInterval(() => {}, 1000)'), 'silent.mjs')
  await assert.rejects(
    one.supervisor.reload({ script: silent, milliseconds: 1_000 }),
    error('ERR_HANDOVER_WORKERS_FAILED', /after 1000 ms worker 1 does not listen/),
  )
  assert.deepEqual(states(one), ['1 ready true'])
})

test('WebSockets that may move make no worker ready: their server is yet to listen', async (t) => {
  const ws = JSON.stringify(import.meta.resolve('ws'))
  const movable = JSON.stringify(new URL('../../src/websocket/index.js', import.meta.url).href)
  const late = `
    import { WebSocketServer } from ${ws}
    import { movableWebSockets } from ${movable}
    movableWebSockets(new WebSocketServer({ noServer: true }), { resumed() {} })
    setTimeout(async () => (await import('node:http')).createServer().listen(0, '127.0.0.1'), 100)`
  const one = await supervise(t, { script: program(t, late) })
  assert.ok(one.port > 0)
})
