import assert from 'node:assert/strict'
import test from 'node:test'
import { Supervisor, type SupervisorOptions } from '../../src/index.js'
import { Backoff } from '../../src/supervisor/backoff.js'
import { get } from '../support/client.js'
import { isAlive } from '../support/command.js'
import { assertSockets, noLeak, socketCount } from '../support/descriptors.js'
import { fixture, scratch } from '../support/paths.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

test('options out of range are refused by name', () => {
  const script = fixture('http-pid.mjs')
  const bad: [Partial<SupervisorOptions>, RegExp][] = [
    [{ workers: 0 }, /^workers: a whole number from 1 to 1024, not 0/],
    [{ workers: 1.5 }, /^workers:/],
    [{ workers: 5000 }, /^workers:/],
    [{ maxConnections: 0 }, /^maxConnections:/],
    [{ maxTotal: -1 }, /^maxTotal:/],
    [{ backlog: Number.NaN }, /^backlog:/],
  ]
  for (const [options, message] of bad) assert.throws(() => new Supervisor({ script, ...options }), { message })
  // @ts-expect-error no such policy
  assert.throws(() => new Supervisor({ script, policy: 'fastest' }), TypeError)
})

test('the wait before a restart doubles at every early death, up to a bound, and a longer life forgives', () => {
  const backoff = new Backoff()
  assert.deepEqual(
    Array.from({ length: 9 }, () => backoff.after(10)),
    [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000],
  )
  assert.equal(backoff.after(60_000), 100)
  assert.equal(backoff.after(10), 200)
})

test('everything is gone after stop: workers, ports, descriptors', async (t) => {
  noLeak(t)
  for (const threads of [false, true]) {
    const app = await supervise(t, { script: fixture('http-pid.mjs'), workers: 2, threads })
    const pids = app.pids()
    assert.equal((await get({ port: app.port })).status, 200)
    await app.supervisor.stop()
    assert.ok(threads || !pids.some(isAlive))
    await assert.rejects(get({ port: app.port }), { code: 'ECONNREFUSED' })
    assert.deepEqual(app.supervisor.status(), { workers: [], ports: [], dispatched: 1, waiting: 0 })
  }
})

test('a program that does not end is killed after the drain', async (t) => {
  const app = await supervise(t, { script: fixture('ignores-sigterm.mjs'), drainTimeout: 100 })
  await app.supervisor.stop()
  assert.deepEqual(app.events.at(-1), {
    ...app.events.at(-1),
    name: 'ended',
    end: { code: null, signal: 'SIGKILL' },
    expected: true,
  })
})

test('ports that the supervisor opens are served by whoever calls serve without an address', async (t) => {
  const path = `${scratch(t)}/socket`
  const app = await supervise(t, {
    script: fixture('serve-any.mjs'),
    workers: 2,
    preload: false,
    listen: [{ port: 0, host: '127.0.0.1' }, { path }],
  })
  const seen = new Set<string>()
  for (let i = 0; i < 4; i++) seen.add((await get({ port: app.port })).body.split(' ')[0] as string)
  assert.equal(seen.size, 2)
  assert.equal((await get({ path })).status, 200)
  await until('both know the address', () => app.lines.length === 2)
  assert.equal(JSON.parse(app.lines[0] as string).port, app.port)
})

test('a program without a place to serve is told so', async (t) => {
  const supervisor = new Supervisor({ script: fixture('serve-any.mjs'), preload: false })
  t.after(() => supervisor.kill())
  await assert.rejects(supervisor.start(), { code: 'EDESTADDRREQ', hint: /serve\(server, \{ port \}\)/ })
})

for (const threads of [false, true]) {
  test(`a script that is not there fails the start, and leaves nothing (${threads ? 'threads' : 'processes'})`, async () => {
    const before = socketCount()
    const supervisor = new Supervisor({ script: fixture('none.mjs'), workers: 2, threads })
    const lines: string[] = []
    supervisor.on('line', ({ text }) => lines.push(text))
    await assert.rejects(supervisor.start(), { code: 'ERR_HANDOVER_WORKERS_FAILED' })
    assert.ok(lines.some((line) => line.includes('none.mjs')))
    // Sockets only: a thread ended while it loads a module leaves Node's descriptor of that file open.
    await assertSockets('self', before, 'after the failed start')
  })
}

test('a port that is taken fails the start with the system error', async (t) => {
  noLeak(t)
  const first = await supervise(t, { script: fixture('http-pid.mjs') })
  const second = new Supervisor({
    script: fixture('http-pid.mjs'),
    workers: 2,
    env: { ...process.env, PORT: String(first.port) },
  })
  t.after(() => second.kill())
  await assert.rejects(second.start(), { code: 'EADDRINUSE', address: '127.0.0.1', port: first.port })
  await first.supervisor.stop()
})
