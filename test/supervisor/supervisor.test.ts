import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { errnoOf } from '../../src/errors.js'
import { Supervisor, type SupervisorOptions } from '../../src/index.js'
import { Backoff } from '../../src/supervisor/workers/backoff.js'
import type { WorkerEnd } from '../../src/supervisor/workers/worker.js'
import { connect, get } from '../support/client.js'
import { command, handover, isAlive } from '../support/command.js'
import { assertSockets, noLeak, socketCount } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { fixture, root, scratch } from '../support/paths.js'
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
  // @ts-expect-error no such option
  assert.throws(() => new Supervisor({ script, worker: 3 }), { name: 'TypeError', message: /^worker: no such option/ })
  assert.throws(() => new Supervisor({}), { name: 'TypeError', message: /^script: an absolute path, not undefined/ })
  assert.throws(() => new Supervisor({ script: 'app.js' }), { message: /^script: an absolute path/ })
})

test('a script that is not there is refused before anything is started', async () => {
  const supervisor = new Supervisor({ script: fixture('none.mjs') })
  await assert.rejects(supervisor.start(), { name: 'TypeError', message: /^script: there is no file .*none\.mjs/ })
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
    assert.deepEqual(app.supervisor.status(), {
      workers: [],
      vacant: [],
      generations: [],
      ports: [],
      dispatched: 1,
      accepted: 0,
      waiting: 0,
      listenQueue: null,
      undecided: 0,
      setbacks: {},
    })
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
  test(`a script that throws fails the start, and leaves nothing (${threads ? 'threads' : 'processes'})`, async () => {
    const before = socketCount()
    const supervisor = new Supervisor({ script: fixture('throws.mjs'), workers: 2, threads })
    const lines: string[] = []
    supervisor.on('line', ({ text }) => lines.push(text))
    await assert.rejects(supervisor.start(), { code: 'ERR_HANDOVER_WORKERS_FAILED' })
    assert.ok(lines.some((line) => line.includes('broken on purpose')))
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

test('a worker that cannot be started again is tried again, and the service goes on', async (t) => {
  for (const threads of [false, true]) {
    const app = await supervise(t, { script: fixture('http-pid.mjs'), workers: 1, threads })
    let failures = 2
    fakeKernel(t, { socketpair: (real, ...args) => (failures-- > 0 ? errnoOf('EMFILE') : real(...args)) })
    if (threads) await assert.rejects(get({ port: app.port }, '/crash'))
    else process.kill(app.pids()[0] as number, 'SIGKILL')
    await until('it is ready again', () => app.events.filter(({ name }) => name === 'ready').length === 2)
    const errors = app.events.filter(({ end }) => (end as WorkerEnd | undefined)?.error !== undefined)
    assert.equal(errors.length, 2)
    assert.equal((await get({ port: app.port })).status, 200)
    await app.supervisor.stop()
  }
})

test('thread options that Node refuses fail the start, and leave nothing', async (t) => {
  noLeak(t)
  const supervisor = new Supervisor({
    script: fixture('http-pid.mjs'),
    threads: true,
    execArgv: ['--no-such-option'],
  })
  await assert.rejects(supervisor.start(), { code: 'ERR_HANDOVER_WORKERS_FAILED' })
})

test('stopping from within an event brings no worker back', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: fixture('http-pid.mjs') })
  let stopped: Promise<void> | undefined
  app.supervisor.on('ended', () => {
    stopped ??= app.supervisor.stop()
  })
  process.kill(app.pids()[0] as number, 'SIGKILL')
  await until('it is stopped', () => stopped !== undefined)
  await stopped
  assert.equal(app.events.filter(({ name }) => name === 'started').length, 1)
  assert.deepEqual(app.supervisor.status().workers, [])
})

test('stop or kill before any worker listens settles start, and leaves nothing', async (t) => {
  noLeak(t)
  for (const end of ['stop', 'kill'] as const) {
    const supervisor = new Supervisor({ script: fixture('never-listens.mjs'), workers: 2 })
    const started = assert.rejects(supervisor.start(), { code: 'ERR_HANDOVER_STOPPED' })
    await supervisor[end]()
    await started
    await assert.rejects(supervisor.start(), { code: 'ERR_HANDOVER_STOPPED' })
  }
})

test('a start that fails at the second of its own ports leaves the first not open', async (t) => {
  noLeak(t)
  const first = join(scratch(t), 'first')
  const supervisor = new Supervisor({
    script: fixture('serve-any.mjs'),
    listen: [{ path: first }, { path: '/no/such/folder/socket' }],
  })
  await assert.rejects(supervisor.start(), { code: 'ENOENT' })
  assert.ok(!existsSync(first))
})

test('a worker that listens while everything stops gets an error, and stop goes through', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const env = { ...process.env, SOCKET: path }
  const app = await supervise(t, { script: fixture('listens-late.mjs'), env })
  await app.supervisor.stop()
  assert.ok(app.lines.includes('late: ECANCELED'), app.lines.join('\n'))
  assert.ok(!existsSync(path))
})

test('a worker that closes its end of the channel is replaced', async (t) => {
  const app = await supervise(t, { script: fixture('closes-channel.mjs'), drainTimeout: 100 })
  const [pid] = app.pids() as [number]
  await get({ port: app.port }, '/close').catch(() => {})
  await until('another has taken its place', () => app.pids().length === 1 && app.pids()[0] !== pid)
})

test('what a worker started and left behind does not hold the master', async (t) => {
  const run = handover(t, ['run', fixture('leaves-child.mjs')])
  const child = Number(await run.line(/child (\d+)/))
  t.after(() => process.kill(child, 'SIGKILL'))
  await run.line(/worker 1 ready/)
  run.child.kill('SIGTERM')
  assert.equal(await run.exited, 0)
  assert.ok(isAlive(child))
})

test('Ctrl-C before the script listens leaves with 0', async (t) => {
  const run = handover(t, ['run', fixture('never-listens.mjs')])
  await run.line(/waiting/)
  run.child.kill('SIGINT')
  assert.equal(await run.ended, 0)
})

test('a worker that stalls is told of, and that it goes on', async (t) => {
  const app = await supervise(t, { script: fixture('http-pid.mjs') })
  const [pid] = app.pids() as [number]
  const told: string[] = []
  app.supervisor.on('stalled', ({ worker, unclaimed }) => told.push(`${worker} owes ${unclaimed}`))
  app.supervisor.on('recovered', ({ worker }) => told.push(`${worker} goes on`))
  process.kill(pid, 'SIGSTOP')
  const answer = get({ port: app.port })
  await until('it is told of', () => told.length === 1)
  process.kill(pid, 'SIGCONT')
  await answer
  await until('the other is told too', () => told.length === 2)
  assert.deepEqual(told, ['1 owes 1', '1 goes on'])
})

test('a drain waits for no client that has never said anything, and tells how many it cuts', async (t) => {
  const app = await supervise(t, { script: fixture('crash-on-demand.mjs'), drainTimeout: 60_000 })
  const silent = await connect({ port: app.port })
  const closed = new Promise((resolve) =>
    silent
      .on('close', resolve)
      .on('error', () => {})
      .resume(),
  )
  await until('it is claimed', () => app.supervisor.status().workers[0]?.open === 1)
  await app.supervisor.stop()
  await closed
  const cut: number[] = []
  const other = await supervise(t, { script: fixture('crash-on-demand.mjs'), drainTimeout: 200 })
  other.supervisor.on('cut', ({ connections }) => cut.push(connections))
  const hanging = await connect({ port: other.port })
  hanging.on('error', () => {}).write('GET /hang HTTP/1.1\r\nHost: x\r\n\r\n')
  await new Promise((resolve) => hanging.once('data', resolve))
  await other.supervisor.stop()
  assert.deepEqual(cut, [1])
})

test('output that nobody listens to goes where the own output goes', async (t) => {
  const run = command(t, process.execPath, [
    '--input-type=module',
    '-e',
    `import { Supervisor } from ${JSON.stringify(pathToFileURL(join(root, 'dist/src/index.js')).href)}
    const supervisor = new Supervisor({ script: ${JSON.stringify(fixture('crash-on-demand.mjs'))} })
    await supervisor.start()
    process.on('SIGTERM', () => supervisor.stop())`,
  ])
  await run.line(/\[1\] err/)
  assert.match(run.stdout(), /^\[1\] out$/m)
  assert.match(run.stderr(), /^\[1\] err$/m)
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
})
