import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { Supervisor } from '../../src/index.js'
import { isAlive } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { APP, answer, hanging, steps, workers } from '../support/generations.js'
import { fixture } from '../support/paths.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

test('generations drain next to each other, each as long as its own connections need', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP) })
  const leaves: (() => void)[] = []
  const reloads: Promise<unknown>[] = []
  for (let generation = 2; generation <= 4; generation++) {
    leaves.push(await hanging(t, app.port))
    reloads.push(app.supervisor.reload({ drainTimeout: 60_000 }))
    await once(app.supervisor, 'switched')
    assert.match(await answer(app), new RegExp(`^${generation} `))
  }
  assert.deepEqual(workers(app), ['1 1', '2 1', '3 1', '4 1'])
  leaves[1]?.()
  await reloads[1]
  assert.deepEqual(workers(app), ['1 1', '3 1', '4 1'])
  leaves[0]?.()
  leaves[2]?.()
  await Promise.all(reloads)
  assert.deepEqual(workers(app), ['4 1'])
})

test('a drain that takes too long is cut, and the reload is done', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  await hanging(t, app.port)
  const cut = once(app.supervisor, 'cut')
  await app.supervisor.reload({ drainTimeout: 100 })
  assert.deepEqual(await cut, [{ worker: 1, connections: 1 }])
  assert.deepEqual(workers(app), ['2 1'])
})

test('a reload during a reload waits until that one has switched', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  const told = steps(app)
  const leave = await hanging(t, app.port)
  const reloads = [
    app.supervisor.reload({ env: { ...process.env, WORD: 'a' }, drainTimeout: 60_000 }),
    app.supervisor.reload({ script: program(t, `throw new Error('broken on purpose')`) }),
    app.supervisor.reload(),
  ]
  await assert.rejects(reloads[1] as Promise<unknown>)
  assert.deepEqual(await reloads[2], { generation: 4 })
  assert.equal(await answer(app), '4 1 a') // the one that failed leaves no trace
  const after = told.filter((step) => !step.startsWith('queued'))
  assert.deepEqual(after, ['reloading 2', 'switched 2', 'reloading 3', 'reloading 4', 'switched 4', 'reloaded 4'])
  leave()
  assert.deepEqual(await reloads[0], { generation: 2 })
})

test('a worker that dies while it drains is not started again; one of the new generation is', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  const [old] = app.pids() as [number]
  await hanging(t, app.port)
  const reloaded = app.supervisor.reload()
  await once(app.supervisor, 'switched')
  const [, fresh] = app.pids() as [number, number]
  process.kill(old, 'SIGKILL')
  await reloaded
  process.kill(fresh, 'SIGKILL')
  assert.equal(await answer(app), '2 1')
  const ended = app.events.filter(({ name }) => name === 'ended')
  assert.deepEqual(
    ended.map(({ generation, expected, restartIn }) => [generation, expected, restartIn]),
    [
      [1, true, null],
      [2, false, 100],
    ],
  )
})

test('what an old worker has not claimed goes to the new generation when it dies', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP) })
  const [old] = app.pids() as [number]
  process.kill(old, 'SIGSTOP')
  const answers = [answer(app), answer(app), answer(app)]
  await until('they are on their way', () => app.supervisor.status().workers[0]?.unclaimed === 3)
  const reloaded = app.supervisor.reload()
  await once(app.supervisor, 'switched')
  process.kill(old, 'SIGKILL')
  assert.deepEqual(await Promise.all(answers), ['2 1', '2 1', '2 1'])
  await reloaded
})

test('stop during a reload ends both generations, before the switch and after it', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP) })
  const pids = app.pids()
  app.supervisor.on('started', ({ pid }) => pids.push(pid))
  const reloaded = assert.rejects(app.supervisor.reload({ script: fixture('never-listens.mjs') }), {
    code: 'ERR_HANDOVER_STOPPED',
  })
  await once(app.supervisor, 'reloading')
  await Promise.all([app.supervisor.stop(), reloaded])
  const other = await supervise(t, { script: program(t, APP) })
  pids.push(...other.pids())
  other.supervisor.on('started', ({ pid }) => pids.push(pid))
  await hanging(t, other.port)
  const switched = once(other.supervisor, 'switched')
  const done = other.supervisor.reload({ drainTimeout: 60_000 })
  await switched
  await other.supervisor.stop(100)
  assert.deepEqual(await done, { generation: 2 })
  assert.equal(pids.length, 4)
  assert.ok(!pids.some(isAlive))
  for (const { supervisor } of [app, other]) {
    assert.deepEqual(supervisor.status().workers, [])
    await assert.rejects(supervisor.reload(), { code: 'ERR_HANDOVER_STOPPED' })
  }
})

test('there is nothing to reload before a start; during one, the reload waits for it', async (t) => {
  const supervisor = new Supervisor({ script: program(t, APP) })
  t.after(() => supervisor.kill())
  await assert.rejects(supervisor.reload(), { code: 'ERR_HANDOVER_STOPPED' })
  const started = supervisor.start()
  assert.deepEqual(await supervisor.reload(), { generation: 2 })
  await started
})

test('a policy sees each place once, in the new generation as in the old', async (t) => {
  const seen = new Set<string>()
  const app = await supervise(t, {
    script: program(t, APP),
    workers: 3,
    policy: (_connection, targets) => {
      seen.add(targets.map(({ id }) => id).join(' '))
      return '2'
    },
  })
  assert.equal(await answer(app), '1 2')
  await hanging(t, app.port)
  const reloaded = app.supervisor.reload({ drainTimeout: 200 })
  await once(app.supervisor, 'switched')
  assert.equal(await answer(app), '2 2')
  await reloaded
  assert.equal(await answer(app), '2 2')
  for (const ids of seen) assert.deepEqual(ids.split(' ').sort(), ['1', '2', '3'])
})
