/** However connections get to the workers, servers are unmodified, every worker has its part, and reloads lose nothing. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import https from 'node:https'
import type net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import WebSocket from 'ws'
import { connect, get, inParallel } from '../support/client.js'
import { crowd, nobodyLeft, nothingWrong, reloads } from '../support/crowds.js'
import { noLeak } from '../support/descriptors.js'
import { allAccept, load, MODES } from '../support/distributed.js'
import { fixture, scratch } from '../support/paths.js'
import { allClosed, certificate, next, program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** Answers with its generation and place; PATH: over a path that it removes first, as programs do. */
const APP = `import { createServer } from 'node:http'
import { rmSync } from 'node:fs'
const { HANDOVER_GENERATION, HANDOVER_WORKER, SOCKET } = process.env
if (SOCKET) rmSync(SOCKET, { force: true })
const server = createServer((request, response) => response.end(HANDOVER_GENERATION + ' ' + HANDOVER_WORKER))
if (SOCKET) server.listen(SOCKET)
else server.listen(0, '127.0.0.1')`

for (const distribution of MODES) {
  test(`every worker of an unmodified http server accepts by itself, and status tells how many (${distribution})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: fixture('http-pid.mjs'), workers: 2, distribution })
    const { supervisor, port, pids } = app
    await allAccept(app)
    const answered = new Map(pids().map((pid) => [pid, 0]))
    const ask = async (index: number): Promise<void> => {
      const [pid, path] = (await get({ port }, `/${index}`)).body.split(' ')
      assert.equal(path, `/${index}`)
      answered.set(Number(pid), (answered.get(Number(pid)) ?? Number.NaN) + 1)
    }
    let asked = 400
    await inParallel(asked, 40, ask)
    await until('each had some', async () => {
      if ([...answered.values()].every((count) => count > 0)) return true
      await ask(asked++) // of a shared queue, who has no processor for a while has none
      return false
    })
    const totals = (): number[] => supervisor.status().workers.map(({ total }) => total)
    await until('all are told of', () => totals().reduce((sum, one) => sum + one, 0) === asked)
    assert.deepEqual(totals(), [...answered.values()])
    assert.equal(supervisor.status().dispatched, 0)
    await allClosed(supervisor)
    await supervisor.stop()
  })

  test(`what is open in a worker that accepts by itself is known, until it is closed (${distribution})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: fixture('net-echo.mjs'), workers: 2, distribution })
    await allAccept(app)
    const sockets: net.Socket[] = []
    await inParallel(40, 40, async () => {
      const socket = await connect({ port: app.port })
      t.after(() => socket.destroy())
      sockets.push(socket)
      await next(socket, 'data')
    })
    const open = (): number[] => app.supervisor.status().workers.map((worker) => worker.open)
    await until('40 are open', () => open().reduce((sum, one) => sum + one, 0) === 40)
    for (const socket of sockets) socket.write('echoed')
    for (const text of await Promise.all(sockets.map((socket) => next(socket, 'data'))))
      assert.equal(`${text}`, 'echoed')
    for (const socket of sockets) socket.end()
    await allClosed(app.supervisor)
  })

  test(`unmodified https and ws servers work where workers accept by themselves (${distribution})`, async (t) => {
    noLeak(t)
    const { keyFile, certFile, cert } = certificate(t)
    const env = { ...process.env, KEY: keyFile, CERT: certFile }
    const secure = await supervise(t, { script: fixture('https-pid.mjs'), workers: 2, env, distribution })
    await allAccept(secure)
    await inParallel(20, 10, async (index) => {
      const trust = { ca: cert, servername: 'localhost', host: '127.0.0.1', port: secure.port, agent: false }
      const [response] = await once(https.get({ ...trust, path: `/${index}` }), 'response')
      let body = ''
      for await (const piece of response.setEncoding('utf8')) body += piece
      assert.ok(secure.pids().includes(Number.parseInt(body, 10)) && body.endsWith(` /${index}`))
    })
    const sockets = await supervise(t, { script: fixture('ws-echo.mjs'), workers: 2, distribution })
    await allAccept(sockets)
    await inParallel(20, 10, async (index) => {
      const client = new WebSocket(`ws://127.0.0.1:${sockets.port}`)
      await next(client, 'message')
      client.send(`hello ${index}`)
      assert.equal(String((await next(client, 'message'))[0]), `hello ${index}`)
      client.close()
      await once(client, 'close')
    })
    for (const { supervisor } of [secure, sockets]) assert.equal(supervisor.status().dispatched, 0)
  })

  for (const threads of [false, true]) {
    const kind = threads ? 'threads' : 'processes'
    test(`no request fails through five reloads under a load of new connections (${distribution}, ${kind})`, async (t) => {
      noLeak(t)
      const app = await supervise(t, { script: program(t, APP), workers: 2, distribution, threads })
      await allAccept(app)
      const requests = load({ port: app.port }, 8)
      for (let generation = 2; generation <= 6; generation++) {
        await requests.more(50)
        assert.deepEqual(await app.supervisor.reload(), { generation })
      }
      await requests.more(50)
      const { bodies, failed } = await requests.stop()
      assert.deepEqual(failed, [])
      for (const body of bodies) assert.match(body, /^[1-6] [12]$/)
      assert.match((await get({ port: app.port })).body, /^6 /)
      await allAccept(app)
      await app.supervisor.stop()
    })
  }

  test(`a path that programs remove before they listen is shared, and reloads lose nothing (${distribution})`, async (t) => {
    noLeak(t)
    const path = join(scratch(t), 'app.sock')
    const env = { ...process.env, SOCKET: path }
    const app = await supervise(t, { script: program(t, APP), workers: 2, distribution, env })
    await allAccept(app)
    const requests = load({ path }, 4)
    for (let generation = 2; generation <= 4; generation++) {
      await requests.more(50)
      await app.supervisor.reload()
    }
    await requests.more(50)
    const { bodies, failed } = await requests.stop()
    assert.deepEqual(new Set(failed.filter((code) => code !== 'ENOENT')), new Set(), 'but while the path is removed')
    assert.match(bodies.at(-1) as string, /^4 /)
    await app.supervisor.stop()
  })

  test(`keep-alive connections move at a reload, as dispatched ones do (${distribution})`, async (t) => {
    noLeak(t)
    const clients = 100
    const source = `import { createServer } from 'node:http'
const server = createServer((request, response) => {
  let length = 0
  request.on('data', (piece) => (length += piece.length)).on('end', () => response.end(request.url + ' ' + length))
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1')`
    const app = await supervise(t, { script: program(t, source), workers: 2, distribution })
    await allAccept(app)
    const many = crowd(t, 'http-crowd.mjs', String(app.port), String(clients))
    await many.hears('open')
    await reloads(app, many, { times: 3, connections: clients, between: async () => {} })
    many.tell('stop')
    assert.equal((await many.hears<{ open: number }>('stopped')).open, clients, 'the same connections, all of them')
    nothingWrong(app, many)
    many.tell('close')
    assert.equal(await many.ended, 0)
    await nobodyLeft(app)
  })

  test(`WebSockets that the program moves live through reloads (${distribution})`, async (t) => {
    noLeak(t)
    const clients = 100
    const app = await supervise(t, { script: fixture('ws-counted.mjs'), workers: 2, distribution })
    await allAccept(app)
    const many = crowd(t, 'ws-crowd.mjs', `ws://127.0.0.1:${app.port}`, String(clients))
    await many.hears('open')
    await reloads(app, many, { times: 3, connections: clients, between: async () => {} })
    many.tell('stop')
    assert.equal((await many.hears<{ open: number }>('stopped')).open, clients)
    nothingWrong(app, many)
    many.tell('close')
    assert.equal(await many.ended, 0)
    await nobodyLeft(app)
  })
}
