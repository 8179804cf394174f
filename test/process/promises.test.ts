/** The promises of the design, on real processes. Linux: descriptors are counted in /proc. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { SupervisorOptions } from '../../src/index.js'
import { type Answer, connect, get, inParallel } from '../support/client.js'
import { assertSockets, copiesHeld, openDescriptors, socketCount } from '../support/descriptors.js'
import { fixture, scratch } from '../support/paths.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

interface Watched extends Supervised {
  /** Checks that master and workers hold as many sockets as at the start, and that every counter is back at zero. */
  nothingLeft(what: string): Promise<void>
  stop(pid: number): void
  go(pid: number): void
}

/** A supervised program whose descriptors are counted before and after. */
async function watched(t: TestContext, options: SupervisorOptions): Promise<Watched> {
  const supervised = await supervise(t, options)
  const { supervisor, pids } = supervised
  const master = socketCount()
  const worker = socketCount(pids()[0])
  return {
    ...supervised,
    stop: (pid) => void process.kill(pid, 'SIGSTOP'),
    go: (pid) => void process.kill(pid, 'SIGCONT'),
    async nothingLeft(what) {
      await until(`${what}: accounting returns to zero`, () =>
        supervisor.status().workers.every((one) => one.queued + one.unclaimed + one.open === 0),
      )
      assert.equal(supervisor.status().waiting, 0)
      await assertSockets('self', master, `${what}, master`)
      for (const pid of pids()) await assertSockets(pid, worker, `${what}, worker`)
    },
  }
}

/** What the master knows of a worker. */
const target = (supervised: Supervised, pid: number) =>
  supervised.supervisor.status().workers.find((worker) => worker.pid === pid)

const expected = (size: number): string => {
  let text = ''
  for (let i = 0; text.length < size; i++) text += `${i},`
  return text.slice(0, size)
}

test('10,000 short connections are answered byte by byte, without one error', async (t) => {
  const app = await watched(t, { script: fixture('http-bodies.mjs'), workers: 2 })
  const sizes = [0, 1, 100, 5_000, 70_000]
  const bodies = new Map(sizes.map((size) => [size, expected(size)]))
  const byWorker = new Map<string, number>()
  await inParallel(10_000, 50, async (i) => {
    const size = sizes[i % sizes.length] as number
    const { status, body, headers } = await get({ port: app.port }, `/${size}`)
    assert.equal(status, 200)
    assert.ok(body === bodies.get(size), `the body of ${size} bytes is exact`)
    const pid = String(headers['x-pid'])
    byWorker.set(pid, (byWorker.get(pid) ?? 0) + 1)
  })
  assert.equal(byWorker.size, 2, 'both workers served')
  assert.equal(app.supervisor.status().dispatched, 10_000)
  await app.nothingLeft('after 10,000 connections')
})

test('a worker killed in a burst loses only what it had claimed: others answer the rest', async (t) => {
  const app = await watched(t, { script: fixture('http-pid.mjs'), workers: 2 })
  const [victim, survivor] = app.pids() as [number, number]
  app.stop(victim)
  const answers: Promise<Answer>[] = []
  for (let i = 0; i < 60; i++) answers.push(get({ port: app.port }, `/${i}`))
  await until('some connections wait unclaimed', () => (target(app, victim)?.unclaimed ?? 0) > 0)
  const unclaimed = target(app, victim)?.unclaimed as number
  process.kill(victim, 'SIGKILL')
  const bodies = (await Promise.all(answers)).map(({ body }) => body)
  assert.ok(unclaimed > 0)
  assert.deepEqual(
    bodies.map((body) => Number(body.split('/')[1])),
    Array.from({ length: 60 }, (_, i) => i),
  )
  const others = bodies.filter((body) => Number(body.split(' ')[0]) !== victim)
  assert.equal(others.length, 60, 'all were answered by a worker that lived')
  assert.ok(bodies.some((body) => Number(body.split(' ')[0]) === survivor))
  await until(
    'the place is filled again',
    () => app.pids().length === 2 && app.events.filter(({ name }) => name === 'ready').length === 3,
  )
  await app.nothingLeft('after the kill')
})

test('with both workers dead for two seconds clients wait, and are answered', async (t) => {
  const folder = scratch(t)
  const app = await watched(t, {
    script: fixture('http-slow-return.mjs'),
    workers: 2,
    env: { ...process.env, MARKER: join(folder, 'started') },
  })
  const first = app.pids()
  for (const pid of first) process.kill(pid, 'SIGKILL')
  await until('both are seen dead', () => app.events.filter(({ name }) => name === 'ended').length === 2)
  const since = performance.now()
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => get({ port: app.port }, `/${i}`)))
  assert.ok(performance.now() - since > 1_000, 'they did wait')
  assert.ok(answers.every(({ status }) => status === 200))
  assert.ok(answers.every(({ body }) => !first.includes(Number(body.split(' ')[0]))))
  await until('both places are filled', () => app.supervisor.status().workers.filter(({ ready }) => ready).length === 2)
  await app.nothingLeft('after both came back')
})

test('a worker that never reads gets no more: the others take the load, and what it has is not lost', async (t) => {
  const app = await watched(t, { script: fixture('http-pid.mjs'), workers: 2 })
  const [deaf, other] = app.pids() as [number, number]
  app.stop(deaf)
  let answered = 0
  const all = Array.from({ length: 20 }, (_, i) =>
    get({ port: app.port }, `/${i}`).then(() => {
      answered += 1
    }),
  )
  await until('it is seen as stalled', () => target(app, deaf)?.stalled === true)
  const stuck = target(app, deaf)?.unclaimed as number
  assert.ok(stuck > 0)
  await inParallel(500, 20, async (i) => {
    assert.equal(Number((await get({ port: app.port }, `/more${i}`)).body.split(' ')[0]), other)
  })
  assert.equal(target(app, deaf)?.unclaimed, stuck, 'not one more was sent to it')
  await until('all others are answered', () => answered === 20 - stuck)
  app.go(deaf)
  await Promise.all(all)
  await app.nothingLeft('after it read again')
})

test('300 clients against one blocked worker with a limit of 10: the master holds no more than its limit', async (t) => {
  const app = await watched(t, { script: fixture('http-pid.mjs'), workers: 1, maxConnections: 10 })
  const [pid] = app.pids() as [number]
  app.stop(pid)
  // The clients are another process's, so that every connection counted here is the master's own copy.
  const clients = get300(app.port)
  t.after(() => clients.end())
  await until('as many are dispatched as may be', () => app.supervisor.status().dispatched === 10)
  await clients.connected
  assert.equal(copiesHeld(app.port), 10, 'the rest waits in the kernel')
  assert.equal(target(app, pid)?.unclaimed, 10)
  app.go(pid)
  assert.equal(await clients.answered, '300')
  assert.equal(app.supervisor.status().dispatched, 300)
  await app.nothingLeft('after all were answered')
})

/** 300 clients of another process: settles when all are connected, then when all are answered. */
function get300(port: number): { connected: Promise<void>; answered: Promise<string>; end(): void } {
  return clientProcess(`
    const net = require('node:net')
    let connected = 0, answered = 0
    for (let i = 0; i < 300; i++) {
      const socket = net.connect(${port}, '127.0.0.1', () => {
        socket.write('GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')
        if (++connected === 300) console.log('connected')
      })
      let text = ''
      socket.on('data', (data) => { text += data })
      socket.on('end', () => {
        if (text.startsWith('HTTP/1.1 200')) answered++
        if (answered === 300) { console.log('answered 300') }
      })
    }`)
}

function clientProcess(code: string): { connected: Promise<void>; answered: Promise<string>; end(): void } {
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (data: string) => {
    text += data
  })
  return {
    connected: until('all clients are connected', () => text.includes('connected'), 30_000),
    answered: until('all clients are answered', () => /answered \d+/.test(text), 30_000).then(
      () => /answered (\d+)/.exec(text)?.[1] as string,
    ),
    end: () => void child.kill('SIGKILL'),
  }
}

const DOWNLOAD = 20_000_000

/** Downloads through a connection that is there; the bytes of the body that came. */
function spent(socket: Socket): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0
    let head = ''
    socket.on('data', (data) => {
      if (head.includes('\r\n\r\n')) {
        bytes += data.length
        return
      }
      head += data.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end >= 0) bytes += head.length - end - 4
    })
    socket.on('end', () => resolve(bytes))
    socket.on('error', reject)
    socket.write(`GET /${DOWNLOAD} HTTP/1.0\r\n\r\n`)
  })
}

test('after the hand-over the master holds nothing of a connection while its bytes flow', async (t) => {
  const app = await watched(t, { script: fixture('http-bodies.mjs'), workers: 2 })
  const sockets = await Promise.all(Array.from({ length: 40 }, () => connect({ port: app.port })))
  await until('all are claimed', () => app.supervisor.status().workers.reduce((sum, { open }) => sum + open, 0) === 40)
  await until('the copies are closed', () => copiesHeld(app.port) === 0)
  const chunks = await Promise.all(sockets.slice(0, 4).map((socket) => spent(socket)))
  assert.deepEqual(chunks, [DOWNLOAD, DOWNLOAD, DOWNLOAD, DOWNLOAD])
  for (const socket of sockets) socket.destroy()
  await app.nothingLeft('after the clients went')
})

test('a worker without free descriptors sends connections back, and others serve them', async (t) => {
  const app = await watched(t, { script: fixture('http-pid.mjs'), workers: 2, policy: 'round-robin' })
  const [poor] = app.pids() as [number]
  execFileSync('prlimit', ['--pid', String(poor), `--nofile=${openDescriptors(poor).size + 4}`])
  const sockets = await Promise.all(Array.from({ length: 60 }, () => connect({ port: app.port })))
  const answers = await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<string>((resolve) => {
          socket.once('data', (data) => resolve(String(data)))
          socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        }),
    ),
  )
  assert.ok(answers.every((answer) => answer.startsWith('HTTP/1.1 200')))
  assert.ok(
    app.events.some(({ name }) => name === 'returned'),
    'some came back',
  )
  for (const socket of sockets) socket.destroy()
  await app.nothingLeft('after the clients went')
})

test('a master without free descriptors does not spin, and accepts again when it has some', async (t) => {
  const app = await watched(t, { script: fixture('http-pid.mjs'), workers: 1 })
  const [pid] = app.pids() as [number]
  execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${openDescriptors().size + 25}:20000`])
  t.after(() => execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=20000:20000']))
  const clients = get300(app.port)
  t.after(() => clients.end())
  app.stop(pid)
  await until('it ran out', () => app.events.some(({ name }) => name === 'exhausted'))
  app.go(pid)
  assert.equal(await clients.answered, '300')
  const tries = app.events.filter(({ name }) => name === 'exhausted').length
  assert.ok(tries < 100, `accept was tried ${tries} times without a descriptor`)
  await app.nothingLeft('after all were answered')
})
