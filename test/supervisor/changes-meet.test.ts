/** Single workers are replaced while whole generations are, however connections get to them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { get, inParallel } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { allAccept, MODES } from '../support/distributed.js'
import { APP, answer, hanging, load, states, steps, workers } from '../support/generations.js'
import { isStopped } from '../support/keepers.js'
import { scratch } from '../support/paths.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** Longer than any test. */
const LONG = 60_000

for (const distribution of ['dispatch', ...MODES] as const) {
  test(`a worker that is replaced within the health window is no failure: its successor is watched (${distribution})`, async (t) => {
    noLeak(t)
    const readiness = { http: '/ready', interval: 20 }
    const app = await supervise(t, { script: program(t, APP), workers: 2, distribution, readiness })
    const told = steps(app)
    const failed = assert.rejects(app.supervisor.reload({ healthWindow: LONG }), {
      code: 'ERR_HANDOVER_ROLLED_BACK',
      message: /^generation 2: worker 1( ended \(SIGKILL\)|: .*) within/, // its end, or what it did not answer any more
    })
    await once(app.supervisor, 'switched')
    await app.supervisor.replace(1)
    assert.deepEqual(states(app), ['1 standby', '2 serving'])
    const count = app.lines.length
    await until('they are asked again', () => app.lines.length > count + 6)
    assert.deepEqual(told, ['reloading 2', 'switched 2'])
    const successor = app.supervisor.status().workers.find((one) => one.generation === 2 && one.worker === 1)
    process.kill(successor?.pid as number, 'SIGKILL')
    await failed
    await until('the new ones are gone', () => workers(app).join() === '1 1,1 2')
    if (distribution !== 'dispatch') await allAccept(app)
    for (let i = 0; i < 20; i++) assert.match(await answer(app), /^1 /)
  })
}

test('a worker that took its place in a rolling reload, and is replaced itself, does not end the reload', async (t) => {
  noLeak(t)
  const gate = join(scratch(t), 'gate')
  const source = `const { existsSync } = await import('node:fs')
if (process.env.HANDOVER_GENERATION === '2' && process.env.HANDOVER_WORKER === '2')
  while (!existsSync(${JSON.stringify(gate)})) await new Promise((resolve) => setTimeout(resolve, 5))
`
  const app = await supervise(t, {
    script: program(t, APP.replace('const server', `${source}const server`)),
    workers: 3,
  })
  const told = steps(app)
  const reloaded = app.supervisor.reload({ rolling: true })
  await once(app.supervisor, 'rolled')
  await app.supervisor.replace(1) // one of the new
  await app.supervisor.replace(3) // one of the old
  writeFileSync(gate, '')
  assert.deepEqual(await reloaded, { generation: 2 })
  assert.ok(!told.some((step) => step.startsWith('rolledBack')), told.join())
  assert.deepEqual(workers(app), ['2 1', '2 2', '2 3'])
  assert.deepEqual(states(app), ['2 serving'])
})

test('an old worker that is replaced while its place is prepared anew leaves no second one at the place', async (t) => {
  noLeak(t)
  const gate = join(scratch(t), 'gate')
  const source = `const { existsSync } = await import('node:fs')
if (process.env.HANDOVER_GENERATION === '2')
  while (!existsSync(${JSON.stringify(gate)})) await new Promise((resolve) => setTimeout(resolve, 5))
`
  const app = await supervise(t, {
    script: program(t, APP.replace('const server', `${source}const server`)),
    workers: 2,
  })
  const requests = load(app, 2)
  const reloaded = app.supervisor.reload({ rolling: true })
  await once(app.supervisor, 'reloading')
  await app.supervisor.replace(1)
  const rolled = once(app.supervisor, 'rolled')
  writeFileSync(gate, '')
  await rolled
  await until('the one before is gone', () => !workers(app).includes('1 1'))
  await reloaded
  await requests.stop()
  assert.deepEqual(workers(app), ['2 1', '2 2'])
})

test('workers that are full are not asked, and not unhealthy', async (t) => {
  noLeak(t)
  const app = await supervise(t, {
    script: program(t, APP),
    maxConnections: 1,
    readiness: { http: '/ready', interval: 20 },
  })
  const told = steps(app)
  const reloaded = app.supervisor.reload({ healthWindow: 1_500 })
  await once(app.supervisor, 'switched')
  const leave = await hanging(t, app.port)
  await reloaded
  assert.deepEqual(told, ['reloading 2', 'switched 2', 'healthy 2', 'reloaded 2'])
  leave()
})

/** Answers with its pid; a second worker at a place listens when a file is there. */
const LATE = `import { createServer } from 'node:http'
import { existsSync, writeFileSync } from 'node:fs'
const first = process.env.FOLDER + '/' + process.env.HANDOVER_WORKER
if (existsSync(first)) while (!existsSync(process.env.FOLDER + '/gate')) await new Promise((resolve) => setTimeout(resolve, 5))
writeFileSync(first, '')
createServer((request, response) => response.end(process.env.HANDOVER_WORKER)).listen(0, '127.0.0.1')`

for (const distribution of MODES) {
  test(`the queue of a hung worker is served by others at once, not by its successor (${distribution})`, async (t) => {
    noLeak(t)
    const FOLDER = scratch(t)
    const env = { ...process.env, FOLDER }
    const app = await supervise(t, {
      ...{ script: program(t, LATE), workers: 2, distribution, env },
      ...{ heartbeat: 50, hungAfter: 2_000 },
    })
    await allAccept(app)
    const [pid] = app.pids() as [number]
    const hung = once(app.supervisor, 'hung')
    process.kill(pid, 'SIGSTOP')
    await until('it has stopped', () => isStopped(readFileSync(`/proc/${pid}/stat`, 'utf8')))
    await hung
    assert.ok(!existsSync(join(FOLDER, 'gate')))
    await inParallel(30, 30, async () => assert.equal((await get({ port: app.port })).body, '2'))
    const replaced = once(app.supervisor, 'replaced')
    process.kill(pid, 'SIGCONT')
    writeFileSync(join(FOLDER, 'gate'), '')
    await replaced
    await until('it is gone', () => !app.pids().includes(pid))
    await allAccept(app)
    const seen = new Set<string>()
    await until('both answer', async () => {
      await inParallel(20, 20, async () => void seen.add((await get({ port: app.port })).body))
      return seen.size === 2
    })
  })

  test(`a hung worker that goes on accepts again, where nobody takes its place (${distribution})`, async (t) => {
    noLeak(t)
    const FOLDER = scratch(t)
    const env = { ...process.env, FOLDER }
    const app = await supervise(t, {
      ...{ script: program(t, LATE), workers: 2, distribution, env },
      ...{ heartbeat: 50, hungAfter: 2_000 },
    })
    await allAccept(app)
    const [pid] = app.pids() as [number]
    const hung = once(app.supervisor, 'hung')
    process.kill(pid, 'SIGSTOP')
    await hung
    const accepts = (): boolean | undefined => app.supervisor.status().workers.find((one) => one.pid === pid)?.accepts
    assert.equal(accepts(), false)
    const recovered = once(app.supervisor, 'recovered')
    process.kill(pid, 'SIGCONT')
    await recovered
    assert.equal(accepts(), true)
    const seen = new Set<string>()
    await until('both answer', async () => {
      await inParallel(20, 20, async () => void seen.add((await get({ port: app.port })).body))
      return seen.size === 2
    })
  })

  test(`a successor that serves a port less leaves it to others, who go on accepting (${distribution})`, async (t) => {
    noLeak(t)
    const FOLDER = scratch(t)
    const source = `import { createServer } from 'node:http'
import { existsSync, writeFileSync } from 'node:fs'
const first = process.env.FOLDER + '/' + process.env.HANDOVER_WORKER
const hosts = existsSync(first) ? ['127.0.0.1'] : ['127.0.0.1', '127.0.0.2']
writeFileSync(first, '')
for (const host of hosts) createServer((request, response) => response.end(process.env.HANDOVER_WORKER)).listen(0, host)`
    const app = await supervise(t, {
      script: program(t, source),
      workers: 2,
      distribution,
      env: { ...process.env, FOLDER },
    })
    await until('both ports are open', () => app.supervisor.status().ports.length === 2)
    await allAccept(app)
    const other = app.supervisor.status().ports.find((one) => (one as { address: string }).address === '127.0.0.2')
    await app.supervisor.replace(1)
    const { port } = other as { port: number }
    await inParallel(20, 20, async () => assert.equal((await get({ port, host: '127.0.0.2' })).body, '2'))
  })
}

test('of two workers of a place, of which one stalls, that one alone is told of, once', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), heartbeat: false, drainTimeout: 300 })
  const told: string[] = []
  for (const name of ['stalled', 'recovered'] as const) app.supervisor.on(name, () => told.push(name))
  const [pid] = app.pids() as [number]
  process.kill(pid, 'SIGSTOP')
  const asked = answer(app)
  await until('it is stalled', () => told.length === 1)
  const replaced = once(app.supervisor, 'replaced')
  const done = app.supervisor.replace(1)
  await replaced
  await done // it is killed some seconds later
  assert.equal(await asked, '1 1')
  assert.deepEqual(told, ['stalled'])
})
