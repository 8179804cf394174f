import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { APP, answer, both, hanging, load, states, workers } from '../support/generations.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'

for (const { threads, kind } of both) {
  test(`scaling up and down under load fails no request, and who stays keeps its number (${kind})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script: program(t, APP), workers: 2, threads })
    const first = app.pids()
    const requests = load(app, 6)
    await app.supervisor.scale(4)
    assert.deepEqual(workers(app), ['1 1', '1 2', '1 3', '1 4'])
    await requests.answered(100)
    await app.supervisor.scale(1)
    assert.deepEqual(workers(app), ['1 1'])
    await requests.answered(50)
    await app.supervisor.scale(3)
    await requests.answered(50)
    const answers = await requests.stop()
    assert.deepEqual([...new Set(answers)].sort(), ['1 1', '1 2', '1 3', '1 4'])
    assert.equal(app.pids()[0], first[0])
    await app.supervisor.reload()
    assert.deepEqual(workers(app), ['2 1', '2 2', '2 3'])
  })
}

test('a place that goes finishes what it has', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2, policy: () => '2' })
  const leave = await hanging(t, app.port)
  const scaled = app.supervisor.scale(1)
  assert.equal(await answer(app), '1 1')
  assert.deepEqual(workers(app), ['1 1', '1 2'])
  leave()
  await scaled
  assert.deepEqual(workers(app), ['1 1'])
})

test('groups are scaled by name; new places get the lowest numbers that are free', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2, groups: { shop: { workers: 2 } } }, 4)
  await app.supervisor.scale(3)
  const groups = (): string[] =>
    app.supervisor.status().workers.map(({ worker, group }) => `${worker} ${group ?? 'none'}`)
  assert.deepEqual(groups(), ['1 none', '2 none', '3 shop', '4 shop', '5 none'])
  await app.supervisor.scale(1, 'shop')
  await app.supervisor.scale(4)
  assert.deepEqual(groups(), ['1 none', '2 none', '3 shop', '4 none', '5 none'])
  await app.supervisor.reload({ workers: 2, groups: { shop: 3 } })
  assert.deepEqual(groups(), ['1 none', '2 none', '3 shop', '4 shop', '5 shop'])
  await assert.rejects(
    app.supervisor.scale(1, 'no'),
    /^TypeError: groups.no: there are none of that kind; there are work/,
  )
  await assert.rejects(app.supervisor.scale(0), /^RangeError: workers: a whole number from 1 to 1024, not 0/)
})

test('a reload with another count keeps the numbers of places, and later reloads have it', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2 })
  const requests = load(app, 4)
  await app.supervisor.reload({ workers: 4 })
  assert.deepEqual(workers(app), ['2 1', '2 2', '2 3', '2 4'])
  await app.supervisor.reload()
  assert.deepEqual(workers(app), ['3 1', '3 2', '3 3', '3 4'])
  await app.supervisor.reload({ workers: 1 })
  assert.deepEqual(workers(app), ['4 1'])
  await requests.stop()
})

test('when new workers do not get ready the number stays', async (t) => {
  noLeak(t)
  const source = `if (process.env.HANDOVER_WORKER === '3') {
  console.error('two are enough')
  process.exit(6)
}
${APP}`
  const app = await supervise(t, { script: program(t, source), workers: 1 })
  await assert.rejects(app.supervisor.scale(3), {
    code: 'ERR_HANDOVER_WORKERS_FAILED',
    message: 'generation 1: worker 3 ended (exit code 6) before all were ready',
    output: ['[3] two are enough'],
  })
  assert.deepEqual(workers(app), ['1 1'])
  assert.deepEqual(states(app), ['1 serving'])
  await app.supervisor.scale(2)
  assert.deepEqual(workers(app), ['1 1', '1 2'])
})

test('a place that goes is not filled again; one that came is', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2, policy: () => '2' })
  await hanging(t, app.port)
  const [, second] = app.pids() as [number, number]
  const scaled = app.supervisor.scale(1)
  await answer(app)
  process.kill(second, 'SIGKILL')
  await scaled
  await app.supervisor.scale(2)
  const [, again] = app.pids() as [number, number]
  const ready = once(app.supervisor, 'ready')
  process.kill(again, 'SIGKILL')
  await ready
  assert.deepEqual(workers(app), ['1 1', '1 2'])
})

test('stop while it scales up ends the new workers too', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP) })
  const started = once(app.supervisor, 'started')
  const rejected = assert.rejects(app.supervisor.scale(3), { code: 'ERR_HANDOVER_STOPPED' })
  await started
  const pids = app.pids()
  await Promise.all([app.supervisor.stop(), rejected])
  assert.ok(!pids.some(isAlive))
})
