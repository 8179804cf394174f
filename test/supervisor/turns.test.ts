import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import type { GenerationStatus } from '../../src/index.js'
import { noLeak } from '../support/descriptors.js'
import { APP, answer, hanging, load, states, steps, workers } from '../support/generations.js'
import { fixture } from '../support/paths.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'

const LONG = 60_000

test('a reload during another says that it waits, and for how many', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  const told = steps(app)
  const all = [app.supervisor.reload(), app.supervisor.reload(), app.supervisor.scale(2)]
  await Promise.all(all)
  assert.deepEqual(
    told.filter((step) => step.startsWith('queued')),
    ['queued reload behind 1', 'queued scale behind 2'],
  )
  assert.deepEqual(workers(app), ['3 1', '3 2'])
})

test('a reload that supersedes ends the one that gets ready and those that wait, and serves', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2 })
  const requests = load(app, 2)
  const reloads = [
    app.supervisor.reload({ script: fixture('never-listens.mjs') }),
    app.supervisor.reload({ env: { ...process.env, WORD: 'waits' } }),
  ]
  await once(app.supervisor, 'reloading')
  const rejected = [
    assert.rejects(reloads[0] as Promise<unknown>, {
      code: 'ERR_HANDOVER_SUPERSEDED',
      message: 'generation 2: superseded by generation 3',
    }),
    assert.rejects(reloads[1] as Promise<unknown>, {
      code: 'ERR_HANDOVER_SUPERSEDED',
      message: 'superseded by generation 3 before it began',
    }),
  ]
  assert.deepEqual(await app.supervisor.reload({ supersede: true, script: program(t, APP) }), { generation: 3 })
  await Promise.all(rejected)
  assert.match(await answer(app), /^3 \d$/)
  assert.deepEqual(states(app), ['3 serving'])
  for (const body of await requests.stop()) assert.match(body, /^[13] /)
})

test('an environment that is a function is made of what workers have at the turn of its reload, not of what failed', async (t) => {
  const SHOWS = `import { createServer } from 'node:http'
if (process.env.WRONG) throw new Error('wrong')
createServer((_, response) => response.end([process.env.X, process.env.Y].join())).listen(0, '127.0.0.1')`
  const app = await supervise(t, { script: program(t, SHOWS) })
  const change = (more: NodeJS.ProcessEnv) =>
    app.supervisor.reload({ env: (now) => ({ ...now, ...more }) }).then(
      ({ generation }) => generation,
      ({ code }: { code: string }) => code,
    )
  const all = [change({ X: '5' }), change({ X: '6', WRONG: '1' }), change({ Y: '1' })]
  assert.deepEqual(await Promise.all(all), [2, 'ERR_HANDOVER_WORKERS_FAILED', 4])
  assert.equal(await answer(app), '5,1')
})

test('a reload that cannot be done supersedes nothing', async (t) => {
  const app = await supervise(t, { script: program(t, APP) })
  const reloaded = app.supervisor.reload()
  await once(app.supervisor, 'reloading')
  await assert.rejects(app.supervisor.reload({ supersede: true, script: '/no/such.mjs' }), /^TypeError: script/)
  assert.deepEqual(await reloaded, { generation: 2 })
})

test('one whose health is watched is superseded too: the one before it serves until the next is ready', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP) })
  const told = steps(app)
  const rejected = assert.rejects(app.supervisor.reload({ healthWindow: LONG }), { code: 'ERR_HANDOVER_SUPERSEDED' })
  await once(app.supervisor, 'switched')
  const requests = load(app, 2)
  assert.deepEqual(await app.supervisor.reload({ supersede: true }), { generation: 3 })
  await rejected
  await requests.stop()
  assert.deepEqual(told, ['reloading 2', 'switched 2', 'rolledBack 2', 'reloading 3', 'switched 3', 'reloaded 3'])
})

test('one that rolls is superseded too: its places get the old program again first', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2, policy: () => '1' })
  const leave = await hanging(t, app.port)
  const rejected = assert.rejects(app.supervisor.reload({ rolling: true, drainTimeout: LONG }), {
    code: 'ERR_HANDOVER_SUPERSEDED',
  })
  await once(app.supervisor, 'rolled')
  const next = app.supervisor.reload({ supersede: true })
  leave()
  await rejected
  assert.deepEqual(await next, { generation: 3 })
  assert.deepEqual(workers(app), ['3 1', '3 2'])
})

test('generations that drain at once have a deadline each', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP) })
  const reloads: Promise<unknown>[] = []
  const times = [LONG, LONG / 2, 400]
  let generations: GenerationStatus[] = []
  app.supervisor.on('switched', () => {
    generations = app.supervisor.status().generations
  })
  for (const [index, drainTimeout] of times.entries()) {
    await hanging(t, app.port)
    const switched = once(app.supervisor, 'switched')
    reloads.push(app.supervisor.reload({ drainTimeout }))
    await switched
    assert.match(await answer(app), new RegExp(`^${index + 2} `))
  }
  assert.deepEqual(
    generations.map(({ number, state, deadline, since, workers: count }) => [
      number,
      state,
      deadline === null ? null : deadline - since,
      count,
    ]),
    [
      [1, 'draining', LONG, 1],
      [2, 'draining', LONG / 2, 1],
      [3, 'draining', 400, 1],
      [4, 'serving', null, 1],
    ],
  )
  await reloads[2] // the third is cut, the others go on
  assert.deepEqual(states(app), ['1 draining', '2 draining', '4 serving'])
  await app.supervisor.stop(100)
  await Promise.all(reloads)
})
