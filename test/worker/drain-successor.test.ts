/** A worker that has a successor moves what lives to it: a deploy disconnects nobody. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { connect } from '../support/client.js'
import { ended } from '../support/connections.js'
import { noLeak } from '../support/descriptors.js'
import { type KeepAlive, keepAlive } from '../support/keep-alive.js'
import { closed, heard, program, said } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const APP = `
  import http from 'node:http'
  const { HANDOVER_GENERATION: generation } = process.env
  const server = http.createServer((request, response) => {
    const answer = () => response.end(generation)
    if (request.url === '/slow') setTimeout(answer, 50)
    else answer()
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')`

const index = JSON.stringify(new URL('../../src/index.js', import.meta.url).href)

/** Drains that only their limit would end fail these tests: it is longer than they wait. */
const PATIENT = 60_000

const reload = ({ supervisor }: Supervised): Promise<{ generation: number }> =>
  supervisor.reload({ drainTimeout: PATIENT })

const ends = ({ events }: Supervised): unknown[] => events.filter(({ name }) => name === 'ended').map(({ end }) => end)

for (const threads of [false, true]) {
  test(`200 clients that ask without a pause keep their connections over reloads of ${threads ? 'threads' : 'processes'}`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 2, threads })
    const clients = await Promise.all(Array.from({ length: 200 }, () => keepAlive(t, app.port)))
    let on = true
    const seen = new Set<string>()
    const asking = clients.map(async (client, index) => {
      while (on) seen.add(await client.ask(index % 10 === 0 ? '/slow' : '/'))
    })
    for (let generation = 2; generation <= 3; generation++) {
      await until('all are answered by one generation', () => seen.has(String(generation - 1)))
      await Promise.race([reload(app), Promise.all(asking)])
    }
    on = false
    await Promise.all(asking)
    assert.deepEqual([...seen].sort(), ['1', '2', '3'])
    for (const client of clients) assert.equal(await client.ask(), '3')
    const { workers } = app.supervisor.status()
    assert.equal(
      workers.reduce((sum, { open }) => sum + open, 0),
      200,
    )
    if (!threads) assert.deepEqual(ends(app), Array(4).fill({ code: 0, signal: null }))
  })
}

test('idle connections, and those on which nothing has come yet, are the successor’s', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2 })
  const clients: KeepAlive[] = []
  for (let i = 0; i < 300; i++) clients.push(await keepAlive(t, app.port))
  for (const client of clients.slice(0, 150)) assert.equal(await client.ask(), '1')
  await until('all have arrived', () => {
    const { workers } = app.supervisor.status()
    return workers.reduce((sum, { open }) => sum + open, 0) === 300
  })
  await reload(app)
  for (const client of clients) assert.equal(await client.ask(), '2')
})

test('a request under way is answered where it is, and its connection moves then', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  const client = await keepAlive(t, app.port)
  const slow = client.ask('/slow')
  const reloaded = reload(app)
  assert.equal(await slow, '1')
  await reloaded
  assert.equal(await client.ask(), '2')
})

test('a new worker that is stopped does not get all that moves', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2 })
  const clients = await Promise.all(Array.from({ length: 300 }, () => keepAlive(t, app.port)))
  for (const client of clients) await client.ask()
  let stopped = 0
  app.supervisor.on('ready', ({ generation }) => {
    const all = app.supervisor.status().workers.filter((worker) => worker.generation === generation)
    if (!all.every(({ ready }) => ready)) return
    stopped = all[0]?.pid as number
    process.kill(stopped, 'SIGSTOP') // before it is offered anything
  })
  const reloaded = reload(app)
  const moved = (): number =>
    app.supervisor.status().workers.find((one) => one.generation === 2 && one.open > 0)?.open ?? 0
  await until('most have moved', () => moved() > 200)
  process.kill(stopped, 'SIGCONT')
  await reloaded
  for (const client of clients) assert.equal(await client.ask(), '2')
})

test('where the successor has no room for all, the others end as in any drain', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), maxConnections: 3 })
  const clients = await Promise.all(Array.from({ length: 3 }, () => keepAlive(t, app.port)))
  for (const client of clients) await client.ask()
  app.supervisor.once('switched', () => void connect({ port: app.port }).then((socket) => ended(t, socket)))
  await reload(app)
  await until('all are settled', () => clients.filter((client) => client.ended).length <= 1)
  for (const client of clients) if (!client.ended) assert.equal(await client.ask(), '2')
  const [worker] = app.supervisor.status().workers
  assert.ok(worker !== undefined && worker.open <= 3)
})

test('where the successor serves a port no more, idle connections end, and silent ones a while later', async (t) => {
  noLeak(t)
  const second = `http.createServer((request, response) => response.end('2')).listen(0, '127.0.0.2')`
  const app = await supervise(t, { script: program(t, `${APP}\n${second}`) })
  await until('both listen', () => app.supervisor.status().ports.length === 2)
  const other = app.supervisor.status().ports.find((port) => typeof port !== 'string' && port.address === '127.0.0.2')
  assert.ok(typeof other === 'object')
  const [idle, silent] = [await keepAlive(t, other.port, '127.0.0.2'), await keepAlive(t, other.port, '127.0.0.2')]
  await idle.ask()
  await app.supervisor.reload({ script: program(t, APP, 'first.mjs'), drainTimeout: PATIENT })
  await until('both have ended', () => idle.ended && silent.ended)
})

test('the program’s own connections move by its hook, which the drain waits for', async (t) => {
  noLeak(t)
  const app = await supervise(t, {
    script: program(
      t,
      `
      import net from 'node:net'
      import { setTimeout as delay } from 'node:timers/promises'
      import { handOver, onDrain, onHandOver } from ${index}
      const { HANDOVER_GENERATION: generation } = process.env
      const open = new Map()
      const serve = (socket, count) => {
        open.set(socket, count)
        socket.on('data', () => {
          open.set(socket, open.get(socket) + 1)
          socket.write(generation + ':' + open.get(socket) + ' ')
        })
        socket.on('close', () => open.delete(socket))
      }
      net.createServer((socket) => serve(socket, 0)).listen(0, '127.0.0.1')
      onHandOver('counted', serve)
      onDrain(async (drain) => {
        say('drain', drain)
        await delay(20)
        await Promise.all([...open].map(([socket, state]) => handOver(socket, { as: 'counted', state })))
        await delay(20)
        say('moved')
      })`,
    ),
  })
  const sockets = await Promise.all(Array.from({ length: 10 }, () => connect({ port: app.port })))
  const texts = sockets.map(() => '')
  sockets.forEach((socket, i) => {
    t.after(() => socket.destroy())
    socket.on('data', (bytes: Buffer) => {
      texts[i] = `${texts[i]}${bytes}`
    })
    socket.write('x')
  })
  await until('all are answered', () => texts.every((text) => text === '1:1 '))
  await reload(app)
  assert.deepEqual(said(app, 'drain'), [{ successor: true, milliseconds: PATIENT }])
  assert.deepEqual(said(app, 'moved'), [null])
  for (const socket of sockets) socket.write('x')
  await until('all are answered there', () => texts.every((text) => text === '1:1 2:2 '))
  const gone = sockets.map((socket) => closed(socket))
  const stopped = app.supervisor.stop(50) // without a successor nothing moves; the hook is told that
  await heard(app, 'drain', 2)
  assert.deepEqual(said(app, 'drain').at(-1), { successor: false, milliseconds: 50 })
  await stopped
  await Promise.all(gone)
})

test('a hook that does not settle is waited for until the time is up, one that throws is uncaught', async (t) => {
  const app = await supervise(t, {
    script: program(
      t,
      `${APP}
      import { onDrain } from ${index}
      process.on('uncaughtException', (error) => say('uncaught', error.message))
      onDrain(() => { throw new Error('thrown') })
      onDrain(async () => { throw new Error('rejected') })
      onDrain(() => new Promise(() => {}))
      onDrain(() => say('ended'))()`,
    ),
  })
  await app.supervisor.stop(300)
  assert.deepEqual(said(app, 'uncaught').sort(), ['rejected', 'thrown'])
  assert.deepEqual(said(app, 'ended'), [])
  assert.deepEqual(ends(app), [{ code: 0, signal: null }])
})
