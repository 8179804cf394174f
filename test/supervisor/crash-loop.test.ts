/** A place whose workers die again and again is given up; when all are, so is everything. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { SupervisorEvents } from '../../src/index.js'
import { close } from '../../src/syscalls/descriptor.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { get } from '../support/client.js'
import { handover } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { fixture, scratch } from '../support/paths.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { channelOf } from '../support/things.js'
import { until } from '../support/wait.js'

/** Dies at /crash; where it is told so, at once, with a word. */
const APP = `import { createServer } from 'node:http'
const { HANDOVER_WORKER, HANDOVER_GENERATION, BROKEN = '' } = process.env
if (BROKEN.split(' ').includes(HANDOVER_GENERATION + '.' + HANDOVER_WORKER)) {
  console.error('broken on purpose')
  process.exit(3)
}
createServer((request, response) => {
  if (request.url === '/crash') process.exit(7)
  response.end(HANDOVER_WORKER)
}).listen(0, '127.0.0.1')
`

type CrashLoop = SupervisorEvents['crashLoop'][0]

test('a place whose workers die before they listen is given up, the others serve on, and a reload fills it again', async (t) => {
  noLeak(t)
  const script = program(t, APP)
  const app = await supervise(t, { script, workers: 2, crashLoop: { deaths: 4 } })
  writeFileSync(script, APP.replace("BROKEN = ''", "BROKEN = '1.2'"))
  const given = once(app.supervisor, 'crashLoop')
  process.kill(app.pids()[1] as number, 'SIGKILL')
  const [event] = (await given) as [CrashLoop]
  const { lastOutput = '', ...rest } = event
  assert.deepEqual(rest, { worker: 2, generation: 1, deaths: 4, within: 30_000 })
  assert.match(lastOutput, /^broken on purpose/)
  const states = (): string[] => {
    const { workers, vacant } = app.supervisor.status()
    return [...workers, ...vacant].map(({ worker, state }) => `${worker} ${state}`)
  }
  assert.deepEqual(states(), ['1 ready', '2 failed'])
  assert.equal((await get({ port: app.port })).body, '1')
  const waits = app.events.filter(({ name, worker }) => name === 'ended' && worker === 2).map((one) => one.restartIn)
  assert.deepEqual(waits, [100, 200, 400, null])
  await app.supervisor.reload()
  assert.deepEqual(states(), ['1 ready', '2 ready'])
})

test('a place that waits for its next start is told, and when that is; one whose workers cannot be started, too', async (t) => {
  noLeak(t)
  const script = program(t, APP)
  const app = await supervise(t, { script, workers: 2, crashLoop: { deaths: 3 } })
  const first = once(app.supervisor, 'ended')
  const [, victim = 0] = app.pids()
  process.kill(victim, 'SIGKILL')
  await first // its place waits from this very moment on
  const { vacant, workers } = app.supervisor.status()
  const [{ restartIn = null, ...place } = {}] = vacant
  assert.deepEqual(place, { worker: 2, generation: 1, group: null, state: 'waiting', restarts: 0 })
  assert.ok(restartIn !== null && restartIn >= 0 && restartIn <= 100, `${restartIn}`)
  assert.deepEqual(
    workers.map(({ worker }) => worker),
    [1],
  )
  await until('it is filled', () => app.supervisor.status().workers.filter(({ ready }) => ready).length === 2)
  assert.deepEqual(app.supervisor.status().vacant, [])

  // What no longer starts at all never has a channel.
  const folder = scratch(t)
  const gone = await supervise(t, { script, workers: 1, cwd: folder, crashLoop: { deaths: 3 } })
  const places: string[] = []
  const look = (): void => {
    const { workers, vacant } = gone.supervisor.status()
    for (const { state, pid } of workers) places.push(`${state} ${pid}`)
    for (const { state, restartIn } of vacant) places.push(`${state} ${restartIn !== null}`)
  }
  gone.supervisor.on('ended', ({ restartIn }) => restartIn !== null && setImmediate(look))
  gone.supervisor.on('crashLoop', look)
  const failed = once(gone.supervisor, 'failed')
  rmSync(folder, { recursive: true })
  process.kill(gone.pids()[0] as number, 'SIGKILL')
  await failed
  assert.deepEqual(places, ['waiting true', 'waiting true', 'failed false'])
})

test('a worker that was ready counts as well; one that could be replaced by hand serves again', async (t) => {
  const app = await supervise(t, { script: program(t, APP), workers: 2, policy: () => '2', crashLoop: { deaths: 2 } })
  const lost = once(app.supervisor, 'crashLoop')
  for (let i = 0; i < 2; i++) {
    await until('it listens', () => app.supervisor.status().workers.some((one) => one.worker === 2 && one.ready))
    const ended = once(app.supervisor, 'ended')
    await assert.rejects(get({ port: app.port }, '/crash'))
    await ended
  }
  assert.equal(((await lost) as [CrashLoop])[0].worker, 2)
  assert.equal((await get({ port: app.port })).body, '1')
  await app.supervisor.replace(2)
  assert.equal((await get({ port: app.port })).body, '2')
})

test('when every place is given up everything stops, and `failed` says why', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), crashLoop: { deaths: 2 } })
  const failed = once(app.supervisor, 'failed')
  await assert.rejects(get({ port: app.port }, '/crash'))
  await assert.rejects(get({ port: app.port }, '/crash'))
  const [{ error }] = (await failed) as [SupervisorEvents['failed'][0]]
  assert.equal((error as { code?: string }).code, 'ERR_HANDOVER_WORKERS_FAILED')
  assert.equal(error.message, 'every worker died 2 times within 30 s')
  await assert.rejects(get({ port: app.port }), { code: 'ECONNREFUSED' })
  await app.supervisor.stop()
})

test('a stop that was asked for is no failure, though the last place is given up meanwhile', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), crashLoop: { deaths: 1 } })
  const [ours, theirs] = socketpair()
  t.after(() => close(theirs))
  const told: string[] = []
  app.supervisor.on('failed', () => told.push('failed'))
  const lost = once(app.supervisor, 'crashLoop')
  // A successor that never says hello: stop waits until it is dead.
  const abandon = async (): Promise<void> => void (await lost)
  const moved = assert.rejects(app.supervisor.handOverTo(channelOf(ours), { abandon }))
  let stopped: Promise<void> | null = null
  app.supervisor.on('ended', () => {
    stopped ??= app.supervisor.stop()
  })
  await assert.rejects(get({ port: app.port }, '/crash'))
  await moved
  await stopped
  await new Promise(setImmediate)
  assert.deepEqual(told, [])
})

test('a place that is given up while its worker is replaced is not the end of everything', async (t) => {
  noLeak(t)
  const FOLDER = scratch(t)
  const source = `import { existsSync, writeFileSync } from 'node:fs'
const gate = process.env.FOLDER + '/gate'
if (existsSync(process.env.FOLDER + '/wait')) while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 5))
${APP.replace(/^import .*\n/, '')}`
  const script = program(t, `${APP.split('\n')[0]}\n${source}`)
  const app = await supervise(t, { script, env: { ...process.env, FOLDER }, crashLoop: { deaths: 1 } })
  let failed = false
  app.supervisor.on('failed', () => {
    failed = true
  })
  writeFileSync(join(FOLDER, 'wait'), '')
  const lost = once(app.supervisor, 'crashLoop')
  const replaced = app.supervisor.replace(1)
  await assert.rejects(get({ port: app.port }, '/crash'))
  await lost
  writeFileSync(join(FOLDER, 'gate'), '')
  await replaced
  assert.equal((await get({ port: app.port })).body, '1')
  assert.equal(failed, false)
})

test('where the last place is given up during a change of scale, and that fails, it is the end', async (t) => {
  noLeak(t)
  const gate = join(scratch(t), 'gate')
  const script = program(t, APP)
  const app = await supervise(t, { script, crashLoop: { deaths: 1 } })
  const failed = once(app.supervisor, 'failed')
  const lost = once(app.supervisor, 'crashLoop')
  writeFileSync(
    script,
    `import { existsSync } from 'node:fs'
setInterval(() => existsSync(${JSON.stringify(gate)}) && process.exit(3), 5)`,
  )
  const scaled = assert.rejects(app.supervisor.scale(2), { code: 'ERR_HANDOVER_WORKERS_FAILED' })
  await assert.rejects(get({ port: app.port }, '/crash'))
  await lost
  writeFileSync(gate, '')
  await scaled
  await failed
})

test('deaths that lie longer apart are no loop, and `false` asks for none', async (t) => {
  const app = await supervise(t, { script: program(t, APP), crashLoop: { deaths: 2, within: 1 } })
  const never = await supervise(t, { script: program(t, APP), crashLoop: false })
  for (const { port } of [app, never]) {
    for (let i = 0; i < 3; i++) await assert.rejects(get({ port }, '/crash'))
    assert.equal((await get({ port })).body, '1')
  }
})

test('the command says so, and ends with 1', async (t) => {
  const run = handover(t, ['run', fixture('crash-on-demand.mjs')], { env: { ...process.env, PORT: '0' } })
  const port = Number(await run.line(/listening on (?:http:\/\/)?127\.0\.0\.1:(\d+)/))
  for (let i = 0; i < 5; i++) await assert.rejects(get({ port }, '/crash'))
  assert.equal(await run.ended, 1)
  assert.match(run.stderr(), /worker 1 died 5 times within 30 s: its place is given up until a reload/)
  assert.match(run.stderr(), /every worker died 5 times within 30 s/)
})
