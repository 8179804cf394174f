import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { HandoverError } from '../../src/index.js'
import { STALL_AFTER } from '../../src/limits.js'
import { isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { APP, answer, both, load, states, steps, workers } from '../support/generations.js'
import { keepAlive } from '../support/keep-alive.js'
import { scratch } from '../support/paths.js'
import { program } from '../support/programs.js'
import { standStill } from '../support/standing-still.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** Longer than any test: it is over when something happens. */
const LONG = 60_000

/** Ends in the middle of serving once a file is there, having said why. */
const FRAIL = `${APP}
if (HANDOVER_GENERATION !== '1' && HANDOVER_WORKER === '1') {
  const { existsSync } = await import('node:fs')
  setInterval(() => {
    if (!existsSync(process.env.FAULT)) return
    console.error('no database')
    process.exit(3)
  }, 5)
}
`

for (const { threads, kind } of both) {
  test(`a worker that ends within the health window brings the old ones back; all requests are answered (${kind})`, async (t) => {
    noLeak(t)
    const FAULT = join(scratch(t), 'fault')
    // Nothing is under way in the worker that ends: what it has claimed ends with it.
    const app = await supervise(t, {
      ...{ script: program(t, FRAIL), workers: 2, threads, policy: () => '2' },
      env: { ...process.env, FAULT },
    })
    const pids = app.pids()
    const told = steps(app)
    const requests = load(app, 4)
    const failed = app.supervisor.reload({ healthWindow: LONG }).catch((error: HandoverError) => error)
    await once(app.supervisor, 'switched')
    await requests.answered(50)
    assert.deepEqual(states(app), ['1 standby', '2 serving'])
    const rolledBack = once(app.supervisor, 'rolledBack')
    writeFileSync(FAULT, '')
    const reason = `generation 2: worker 1 ended (exit code 3) within ${LONG} ms of the switch, and the workers before serve again`
    assert.deepEqual(await rolledBack, [{ generation: 2, to: 1, reason }])
    await requests.answered(50)
    const answers = await requests.stop()
    const error = (await failed) as HandoverError
    assert.equal(error.code, 'ERR_HANDOVER_ROLLED_BACK')
    assert.equal(error.message, reason)
    assert.deepEqual(error.output, ['[1] no database'])
    assert.deepEqual([...new Set(answers.map((body) => body[0]))].sort(), ['1', '2'])
    assert.match(await answer(app), /^1 /)
    await until('the new ones are gone', () => workers(app).join() === '1 1,1 2')
    assert.deepEqual(app.pids(), pids)
    assert.deepEqual(states(app), ['1 serving'])
    assert.deepEqual(told, ['reloading 2', 'switched 2', 'rolledBack 2'])
    rmSync(FAULT)
    assert.deepEqual(await app.supervisor.reload(), { generation: 3 })
    assert.match(await answer(app), /^3 /)
  })
}

test('within the health window the old workers serve the connections they have, and nobody tells them to drain', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), policy: 'round-robin' })
  const client = await keepAlive(t, app.port)
  assert.equal(await client.ask(), '1 1')
  const told = steps(app)
  const reloaded = app.supervisor.reload({ healthWindow: 3_000 + app.enough })
  await once(app.supervisor, 'switched')
  for (let i = 0; i < 6; i++) assert.equal(await answer(app), '2 1')
  assert.equal(await client.ask(), '1 1')
  const [standby] = app.supervisor.status().generations
  assert.equal(standby?.state, 'standby')
  assert.equal((standby?.deadline ?? 0) - (standby?.since ?? 0), 3_000 + app.enough)
  await reloaded
  assert.equal(await client.ask(), '2 1') // it moved when the old worker drained
  assert.deepEqual(told, ['reloading 2', 'switched 2', 'healthy 2', 'reloaded 2'])
})

test('clients of a generation that is rolled back go on with the one before', async (t) => {
  noLeak(t)
  const FAULT = join(scratch(t), 'fault')
  const env = { ...process.env, FAULT }
  const app = await supervise(t, { script: program(t, FRAIL), workers: 2, env, policy: () => '2' })
  const rejected = assert.rejects(app.supervisor.reload({ healthWindow: LONG }), { code: 'ERR_HANDOVER_ROLLED_BACK' })
  await once(app.supervisor, 'switched')
  const client = await keepAlive(t, app.port)
  assert.equal(await client.ask(), '2 2')
  writeFileSync(FAULT, '')
  await rejected
  await until('the new ones are gone', () => workers(app).join() === '1 1,1 2')
  assert.match(await client.ask(), /^1 /)
})

test('an old worker that ends while it stands by is replaced, and takes over with the others', async (t) => {
  noLeak(t)
  const FAULT = join(scratch(t), 'fault')
  const app = await supervise(t, { script: program(t, FRAIL), env: { ...process.env, FAULT } })
  const [old] = app.pids() as [number]
  const rejected = assert.rejects(app.supervisor.reload({ healthWindow: LONG }), { code: 'ERR_HANDOVER_ROLLED_BACK' })
  await once(app.supervisor, 'switched')
  const ready = once(app.supervisor, 'ready')
  process.kill(old, 'SIGKILL')
  await ready
  assert.equal(await answer(app), '2 1')
  writeFileSync(FAULT, '')
  await rejected
  assert.equal(await answer(app), '1 1')
})

test('a worker that hangs within the health window brings the old ones back, and what it had not claimed with them', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP) })
  const rejected = assert.rejects(app.supervisor.reload({ healthWindow: LONG, drainTimeout: 300 }), {
    code: 'ERR_HANDOVER_ROLLED_BACK',
    message: /^generation 2: worker 1 hangs within/,
  })
  await once(app.supervisor, 'switched')
  const [, fresh] = app.pids() as [number, number]
  process.kill(fresh, 'SIGSTOP')
  const waiting = answer(app)
  await rejected
  assert.equal(await answer(app), '1 1')
  assert.equal(await waiting, '1 1') // when the one that hangs is killed
  await until('it is gone', () => !isAlive(fresh))
})

test('a supervisor that stood still itself holds nobody for hanging: what was said meanwhile is heard first', async (t) => {
  noLeak(t)
  let stands = false
  const policy = (): string => {
    if (stands) setImmediate(() => standStill(STALL_AFTER + 500))
    stands = false
    return '1'
  }
  const app = await supervise(t, { script: program(t, APP), policy })
  const reloaded = app.supervisor.reload({ healthWindow: 3 * STALL_AFTER + app.enough })
  await once(app.supervisor, 'switched')
  stands = true
  assert.equal(await answer(app), '2 1')
  assert.deepEqual(states(app), ['1 standby', '2 serving'])
  await reloaded
  assert.equal(await answer(app), '2 1')
})

test('a worker that answers badly within the health window brings the old ones back', async (t) => {
  noLeak(t)
  const source = APP.replace(
    'Number(READY_AFTER) >= 0',
    "!(await import('node:fs')).existsSync(process.env.FAULT)",
  ).replace('(request, response) =>', 'async (request, response) =>')
  const FAULT = join(scratch(t), 'fault')
  const readiness = { http: '/ready', interval: 20 }
  const app = await supervise(t, {
    script: program(t, source),
    env: { ...process.env, FAULT },
    readiness,
    healthWindow: LONG,
  })
  const rejected = assert.rejects(app.supervisor.reload(), {
    code: 'ERR_HANDOVER_ROLLED_BACK',
    message: /^generation 2: worker 1: it answers \/ready with status 503 within/,
  })
  await once(app.supervisor, 'switched')
  assert.ok(!existsSync(FAULT))
  writeFileSync(FAULT, '')
  await rejected
  assert.equal(await answer(app), '1 1')
})

test('stop within the health window ends both generations', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2 })
  const rejected = assert.rejects(app.supervisor.reload({ healthWindow: LONG }), { code: 'ERR_HANDOVER_STOPPED' })
  await once(app.supervisor, 'switched')
  const pids = app.pids()
  assert.equal(pids.length, 4)
  await Promise.all([app.supervisor.stop(), rejected])
  assert.ok(!pids.some(isAlive))
  assert.deepEqual(app.supervisor.status().generations, [])
})
