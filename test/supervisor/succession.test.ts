/** A supervisor is replaced by another process, and nobody outside notices. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { Supervisor, startHeir } from '../../src/index.js'
import { connect, get } from '../support/client.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { keepAlive } from '../support/keep-alive.js'
import { scratch } from '../support/paths.js'
import { program } from '../support/programs.js'
import { APP, crowd, pidAt, stoppedChild } from '../support/succession-clients.js'
import { isRunning, succession } from '../support/successions.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

test('200 clients see nothing of five replacements: every request is answered, connections stay, workers are the same', async (t) => {
  const app = await succession(t, program(t, APP))
  const clients = await crowd(t, app.port, 200)
  const masters = new Set([app.master()])
  for (let i = 0; i < 5; i++) {
    const before = clients.answered()
    masters.add(await app.replace())
    await until('clients are answered', () => clients.answered() > before + 200)
  }
  await clients.stop()
  assert.equal(masters.size, 6)
  const { workers } = await app.status()
  assert.deepEqual(
    workers.map(({ pid }) => pid),
    app.pids,
  )
  await until('those before are gone', () => [...masters].filter(isRunning).length === 1)
  assert.deepEqual(
    app.said.filter(({ what }) => what === 'ended' || what === 'broken'),
    [],
  )
})

test('what was counted is counted on: connections, restarts, generations', async (t) => {
  const app = await succession(t, program(t, APP), { WORKERS: '1' })
  const client = await keepAlive(t, app.port)
  await client.ask()
  await get({ port: app.port }, '/crash').catch(() => {})
  await app.hears('started', 2)
  await until('another worker answers', async () => (await pidAt(app).catch(() => 0)) > 0)
  const other = await keepAlive(t, app.port)
  await until('all is claimed, and its ends are told', async () => {
    const [worker] = (await app.status()).workers
    return worker?.unclaimed === 0 && worker.open === 1
  })
  const before = await app.status()
  await app.replace()
  const after = await app.status()
  // How it is at the moment is the worker's own to say, again and again.
  const now = { cpu: null, lag: null, memory: null, claimLatency: null }
  const counted = (status: typeof before) => ({ ...status, workers: status.workers.map((one) => ({ ...one, ...now })) })
  assert.deepEqual(counted(after), counted(before))
  assert.equal(after.workers[0]?.restarts, 1)
  assert.equal(after.workers[0]?.open, 1)
  other.socket.destroy()
  await until('its end is counted by the successor', async () => (await app.status()).workers[0]?.open === 0)
  await pidAt(app)
  assert.equal((await app.status()).dispatched, before.dispatched + 1)
})

test('a worker that ends under the successor is replaced, although nobody can tell how it ended', async (t) => {
  const app = await succession(t, program(t, APP))
  await app.replace()
  await get({ port: app.port }, '/crash').catch(() => {})
  const { end } = await app.hears<{ end: object }>('ended')
  assert.deepEqual(end, { code: null, signal: null, inherited: true })
  const { pid } = await app.hears<{ pid: number }>('started', 3)
  assert.ok(!app.pids.includes(pid))
  await until('it answers', async () => (await pidAt(app)) === pid)
})

test('a worker that is killed in the moment of the change is replaced by the successor', async (t) => {
  const app = await succession(t, program(t, APP), { FAULT: 'heir:send:1:before:stop', READY: '30000' })
  process.kill(app.master(), 'SIGUSR2')
  const heir = await stoppedChild(app.master())
  process.kill(app.pids[0] as number, 'SIGKILL')
  process.kill(heir, 'SIGCONT')
  await app.hears('serving', 2)
  assert.equal(app.master(), heir)
  const { pid } = await app.hears<{ pid: number }>('started', 3)
  await until('it answers', async () => (await pidAt(app)) === pid)
})

test('the output of workers goes on with the successor, also in the middle of a line', async (t) => {
  const app = await succession(t, program(t, APP), { WORKERS: '1' })
  await pidAt(app, '/half')
  await app.replace()
  await pidAt(app, '/rest')
  assert.equal(await app.hears('line'), 'half and rest')
  assert.equal(app.said.filter(({ what }) => what === 'line').length, 1)
})

test('the successor reloads, with its own options, and the generation is the next', async (t) => {
  const app = await succession(t, program(t, APP))
  await app.replace()
  const client = await keepAlive(t, app.port)
  await client.ask()
  process.kill(app.master(), 'SIGHUP')
  assert.deepEqual(await app.hears('reload'), { generation: 2 })
  await client.ask()
  const { workers } = await app.status()
  assert.deepEqual(
    workers.map(({ generation }) => generation),
    [2, 2],
  )
  await until('the old workers are gone', () => !app.pids.some(isRunning))
})

test('workers that drain go on draining under the successor, and have the time that was left', async (t) => {
  const source = APP.replace(
    "if (request.url === '/crash')",
    "if (request.url === '/hang') return response.write('part')\n  if (request.url === '/crash')",
  )
  const began = performance.now()
  await succession(t, program(t, APP))
  const drain = 3_000 + Math.ceil(6 * (performance.now() - began)) // a reload and a replacement, however slow the machine
  const app = await succession(t, program(t, source), { DRAIN: String(drain) })
  const hanging = await connect({ port: app.port })
  t.after(() => hanging.destroy())
  hanging.on('error', () => {}).write('GET /hang HTTP/1.1\r\nHost: x\r\n\r\n')
  await new Promise((resolve) => hanging.once('data', resolve))
  process.kill(app.master(), 'SIGHUP')
  await until('the new generation serves', async () => !app.pids.includes(await pidAt(app)))
  await app.replace()
  assert.deepEqual([...new Set((await app.status()).workers.map(({ generation }) => generation))], [1, 2])
  await until('the old workers are gone', () => !app.pids.some(isRunning), drain + 30_000)
  assert.deepEqual(await app.hears('reloaded'), { generation: 2, previous: 1 })
  assert.deepEqual(
    (await app.status()).workers.map(({ generation }) => generation),
    [2, 2],
  )
})

test('the path of a UNIX port stays, through replacements and reloads, and goes with the last master', async (t) => {
  const source = APP.replace("listen(0, '127.0.0.1')", 'listen(process.env.SOCKET)')
  const path = join(scratch(t), 'app.sock')
  const app = await succession(t, program(t, source), { SOCKET: path })
  await app.replace()
  assert.equal((await get({ path })).status, 200)
  process.kill(app.master(), 'SIGHUP')
  await app.hears('reload')
  await app.replace()
  assert.equal((await get({ path })).status, 200)
  process.kill(app.master(), 'SIGTERM')
  await until('the master is gone', () => !isRunning(app.master()))
  assert.ok(!existsSync(path))
})

test('no descriptor is left over, neither in a successor nor in workers', async (t) => {
  const app = await succession(t, program(t, APP))
  await app.replace()
  const count = async (pid: number): Promise<number> => {
    await pidAt(app)
    await until('no connection is open', async () => (await app.status()).workers.every(({ open }) => open === 0))
    return openDescriptors(pid).size
  }
  const first = await count(app.master())
  const worker = await count(app.pids[0] as number)
  for (let i = 0; i < 3; i++) await app.replace()
  await until('as many as in the first', async () => (await count(app.master())) === first)
  await until('as many as before', async () => (await count(app.pids[0] as number)) === worker)
})

test('a worker that does not answer is named, and the master goes on', async (t) => {
  const app = await succession(t, program(t, APP), { REST: '2000' })
  const [stopped] = app.pids as [number]
  process.kill(stopped, 'SIGSTOP')
  const sockets = await Promise.all(Array.from({ length: 4 }, () => connect({ port: app.port })))
  t.after(() => sockets.forEach((socket) => void socket.destroy()))
  await until('it owes claims', async () =>
    (await app.status()).workers.some(({ pid, unclaimed }) => pid === stopped && unclaimed > 0),
  )
  process.kill(app.master(), 'SIGUSR2')
  assert.match(
    await app.hears<string>('not replaced'),
    new RegExp(`not at rest within 2000 ms: worker \\d \\(process ${stopped}\\)`),
  )
  process.kill(stopped, 'SIGCONT')
  for (let i = 0; i < 4; i++) assert.ok(app.pids.includes(await pidAt(app)))
  await app.replace()
  assert.ok(app.pids.includes(await pidAt(app)))
})

test('a reload that is under way is not interrupted', async (t) => {
  const waits = `if (process.env.HANDOVER_GENERATION === '2') {
  const told = new Promise((resolve) => process.once('SIGUSR1', resolve))
  setInterval(() => {}, 1000)
  console.log('waits')
  await told
}
`
  const app = await succession(t, program(t, waits + APP), { WORKERS: '1' })
  process.kill(app.master(), 'SIGHUP')
  const { pid } = await app.hears<{ pid: number }>('started', 2)
  assert.equal(await app.hears('line'), 'waits')
  process.kill(app.master(), 'SIGUSR2')
  assert.equal(await app.hears('not replaced'), 'a reload or a change of the number of workers is under way')
  process.kill(pid, 'SIGUSR1')
  assert.deepEqual(await app.hears('reload'), { generation: 2 })
})

test('workers that are threads cannot be left to another process, and a supervisor that does not run to nobody', async (t) => {
  noLeak(t)
  const script = program(t, APP)
  const { supervisor } = await supervise(t, { script, threads: true })
  await assert.rejects(startHeir(supervisor), {
    code: 'ERR_HANDOVER_NOT_REPLACED',
    message: /threads, which end with this process/,
  })
  await assert.rejects(startHeir(new Supervisor({ script })), {
    code: 'ERR_HANDOVER_NOT_REPLACED',
    message: /does not run/,
  })
})

test('connections that no worker has yet go along: undecided ones, and those that wait for room', async (t) => {
  const app = await succession(t, program(t, APP), { WORKERS: '1', MAX: '1', HANDSHAKE: '1' })
  const sockets = [await connect({ port: app.port }), await connect({ port: app.port })] as const
  t.after(() => sockets.forEach((socket) => void socket.destroy()))
  const answered = sockets.map((socket) => new Promise((resolve) => socket.on('error', () => {}).once('data', resolve)))
  for (const socket of sockets) socket.write('GET /')
  await until('both are undecided', async () => (await app.status()).undecided === 2)
  await app.replace()
  assert.equal((await app.status()).undecided, 2)
  for (const socket of sockets) socket.write(' HTTP/1.1\r\nHost: x\r\n\r\n')
  await Promise.race(answered)
  assert.equal((await app.status()).waiting, 1)
  await app.replace()
  assert.equal((await app.status()).waiting, 1)
  const first = await Promise.race(answered.map((one, index) => one.then(() => index)))
  sockets[first]?.destroy()
  await Promise.all(answered)
})

test('a supervisor that is stopped while it is being replaced stops, and its successor is none', async (t) => {
  const app = await succession(t, program(t, APP), { FAULT: 'heir:send:1:before:stop', READY: '30000' })
  process.kill(app.master(), 'SIGUSR2')
  const heir = await stoppedChild(app.master())
  process.kill(app.master(), 'SIGTERM')
  await until('all are gone', () => ![heir, app.master(), ...app.pids].some(isRunning))
})
