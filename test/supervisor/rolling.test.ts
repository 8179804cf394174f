import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import type { HandoverError } from '../../src/index.js'
import { isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { APP, answer, both, hanging, load, mostWorkers, states, steps, workers } from '../support/generations.js'
import { keepAlive } from '../support/keep-alive.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

for (const { threads, kind } of both) {
  test(`a rolling reload replaces worker by worker, with one more than usual, and no request fails (${kind})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 3, threads })
    const told = steps(app)
    const most = mostWorkers(app)
    const requests = load(app, 4)
    assert.deepEqual(await app.supervisor.reload({ rolling: true }), { generation: 2 })
    for (const body of await requests.stop()) assert.match(body, /^[12] [123]$/)
    assert.equal(most(), 4)
    assert.deepEqual(workers(app), ['2 1', '2 2', '2 3'])
    assert.deepEqual(states(app), ['2 serving'])
    assert.deepEqual(told, [
      'reloading 2',
      ...[1, 2, 3].map((place) => `rolled 2 ${place} ${place}/3`),
      'switched 2',
      'reloaded 2',
    ])
  })
}

test('the next worker starts when the old one before it is gone', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2, policy: () => '1' })
  const leave = await hanging(t, app.port)
  const reloaded = app.supervisor.reload({ rolling: true, drainTimeout: 60_000 })
  await once(app.supervisor, 'rolled')
  assert.equal(await answer(app), '2 1')
  assert.deepEqual(workers(app), ['1 1', '1 2', '2 1'])
  assert.deepEqual(states(app), ['1 serving', '2 serving'])
  leave()
  await reloaded
  assert.deepEqual(workers(app), ['2 1', '2 2'])
})

/** In its place 2 it ends at once. */
const HALF = `if (process.env.HANDOVER_WORKER === '2') {
  console.error('no place for two')
  process.exit(4)
}
${APP}`

for (const { threads, kind } of both) {
  test(`when a worker fails half-way, the places before it get the old program again and the others never notice (${kind})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 3, threads })
    const [, second, third] = app.pids()
    const told = steps(app)
    const most = mostWorkers(app)
    const requests = load(app, 4)
    const failed = app.supervisor.reload({ rolling: true, script: program(t, HALF) })
    const error = (await failed.catch((one: HandoverError) => one)) as HandoverError
    for (const body of await requests.stop()) assert.match(body, /^([12] 1|1 [23])$/)
    assert.equal(error.code, 'ERR_HANDOVER_ROLLED_BACK')
    assert.equal(error.message, 'generation 2: worker 2 ended (exit code 4) before all were ready')
    assert.deepEqual(error.output, ['[2] no place for two'])
    assert.equal(most(), 4)
    assert.deepEqual(workers(app), ['1 1', '1 2', '1 3'])
    assert.deepEqual(app.pids().slice(1), [second, third])
    assert.deepEqual(states(app), ['1 serving'])
    assert.deepEqual(told, ['reloading 2', 'rolled 2 1 1/3', 'rolledBack 2'])
    assert.deepEqual(await app.supervisor.reload(), { generation: 3 })
    assert.match(await answer(app), /^3 /)
  })
}

test('when the first worker fails nothing was touched', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2 })
  const pids = app.pids()
  const told = steps(app)
  await assert.rejects(app.supervisor.reload({ rolling: true, script: program(t, 'process.exitCode = 5') }), {
    code: 'ERR_HANDOVER_WORKERS_FAILED',
    message: 'generation 2: worker 1 ended (exit code 5) before all were ready',
  })
  assert.deepEqual(app.pids(), pids)
  assert.deepEqual(told, ['reloading 2'])
})

test('a worker that took its place and ends before the others have theirs brings the old program back', async (t) => {
  noLeak(t)
  const slow = `if (process.env.HANDOVER_WORKER === '2') setInterval(() => {}, 1000)\nelse await import(process.env.APP)`
  const APP_FILE = program(t, APP)
  const app = await supervise(t, { script: APP_FILE, workers: 2, env: { ...process.env, APP: APP_FILE } })
  const failed = app.supervisor.reload({ rolling: true, script: program(t, slow) })
  const rejected = assert.rejects(failed, {
    code: 'ERR_HANDOVER_ROLLED_BACK',
    message: /^generation 2: worker 1 ended/,
  })
  await once(app.supervisor, 'rolled')
  await until('the second starts', () => workers(app).includes('2 2'))
  const fresh = app.supervisor.status().workers.find(({ generation, worker }) => generation === 2 && worker === 1)
  process.kill(fresh?.pid ?? 0, 'SIGKILL')
  await rejected
  assert.deepEqual(workers(app), ['1 1', '1 2'])
  for (let i = 0; i < 4; i++) assert.match(await answer(app), /^1 /)
})

test('each worker stands by while the health of its successor is watched', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2, policy: () => '1' })
  const client = await keepAlive(t, app.port)
  assert.equal(await client.ask(), '1 1')
  const [old] = app.pids()
  const rejected = assert.rejects(app.supervisor.reload({ rolling: true, healthWindow: 60_000 }), {
    code: 'ERR_HANDOVER_ROLLED_BACK',
    message: /^generation 2: worker 1 ended \(exit code 7\) within 60000 ms/,
  })
  await until('it serves', async () => (await answer(app)) === '2 1')
  assert.equal(await client.ask(), '1 1')
  await assert.rejects(answer(app, '/crash'))
  await rejected
  assert.equal(await client.ask(), '1 1')
  assert.equal(await answer(app), '1 1')
  assert.equal(app.pids()[0], old)
  const told = steps(app)
  await app.supervisor.reload({ rolling: true, healthWindow: 50 })
  assert.deepEqual(told, ['reloading 3', 'rolled 3 1 1/2', 'rolled 3 2 2/2', 'switched 3', 'healthy 3', 'reloaded 3'])
})

test('a rolling reload may change how many there are', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2 })
  const requests = load(app, 2)
  await app.supervisor.reload({ rolling: true, workers: 3 })
  assert.deepEqual(workers(app), ['2 1', '2 2', '2 3'])
  await app.supervisor.reload({ rolling: true, workers: 1 })
  assert.deepEqual(workers(app), ['3 1'])
  await requests.stop()
})

test('stop in the middle of a rolling reload ends all', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2, policy: () => '1' })
  await hanging(t, app.port)
  const rejected = assert.rejects(app.supervisor.reload({ rolling: true, drainTimeout: 60_000 }), {
    code: 'ERR_HANDOVER_STOPPED',
  })
  await once(app.supervisor, 'rolled')
  const pids = app.pids()
  await Promise.all([app.supervisor.stop(100), rejected])
  assert.ok(!pids.some(isAlive))
})
