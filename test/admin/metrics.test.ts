/** Counters only grow, whatever becomes of workers and generations; what they are called stands in the docs. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { METRICS } from '../../src/admin/metrics.js'
import type { Watched } from '../../src/admin/seen.js'
import { admin, askAt, TOKEN } from '../support/admin.js'
import { noLeak } from '../support/descriptors.js'
import { type Family, sum } from '../support/metrics.js'
import { fixture, root } from '../support/paths.js'
import { allClosed } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { start, tool } from '../support/tools.js'
import { until } from '../support/wait.js'

function counters(families: Map<string, Family>): Map<string, number> {
  const all = [...families].filter(([, { kind }]) => kind === 'counter')
  return new Map(
    all.flatMap(([name, { values }]) => [...values].map(([labels, value]) => [`${name}{${labels}}`, value])),
  )
}

test('counters grow across deaths of workers, reloads, and failed ones', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: fixture('http-pid.mjs'), workers: 2 })
  const { metrics } = await admin(t, app.supervisor)
  let before = counters(await metrics())
  const grows = async (): Promise<Map<string, Family>> => {
    const now = await metrics()
    const grown = counters(now)
    for (const [name, value] of before) assert.ok((grown.get(name) ?? 0) >= value, `${name} fell from ${value}`)
    before = grown
    return now
  }
  const asks = async (): Promise<void> => {
    for (let i = 0; i < 6; i++) assert.equal((await askAt(app.port, '/')).status, 200)
    await allClosed(app.supervisor)
  }
  await asks()
  const asked = await grows()
  assert.equal(sum(asked, 'handover_connections_total'), 6)
  const latency = [...(asked.get('handover_worker_claim_latency_seconds')?.values ?? [])]
  assert.ok(latency.length > 0)
  const longest = asked.get('handover_worker_claim_latency_max_seconds')?.values
  for (const [labels, mean] of latency) assert.ok(0 < mean && mean <= (longest?.get(labels) ?? 0), `${labels} ${mean}`)
  const again = once(app.supervisor, 'ready')
  process.kill(app.pids()[0] as number, 'SIGKILL')
  await again
  await asks()
  const killed = await grows()
  assert.equal(sum(killed, 'handover_connections_total'), 12)
  assert.equal(sum(killed, 'handover_worker_restarts_total'), 1)
  await app.supervisor.reload()
  await asks()
  const reloaded = await grows()
  assert.equal(sum(reloaded, 'handover_connections_total'), 18)
  assert.equal(sum(reloaded, 'handover_worker_restarts_total'), 1)
  assert.equal(sum(reloaded, 'handover_generation'), 2)
  assert.equal(sum(reloaded, 'handover_reloads_total', /done/), 1)
  await assert.rejects(app.supervisor.reload({ script: fixture('throws.mjs') }))
  const failed = await grows()
  assert.deepEqual(
    [sum(failed, 'handover_reloads_total', /done/), sum(failed, 'handover_reloads_total', /failed|rolled/)],
    [1, 1],
  )
  assert.equal(sum(failed, 'handover_dispatched_total'), 18)
  assert.equal(sum(failed, 'handover_workers', /ready/), 2)
})

test('a connection that a dead worker never claimed is counted once, for the worker that has it', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: fixture('http-pid.mjs'), workers: 2, policy: 'round-robin' })
  const { metrics } = await admin(t, app.supervisor)
  const [victim] = app.pids() as [number]
  process.kill(victim, 'SIGSTOP')
  const answers = Array.from({ length: 8 }, () => askAt(app.port, '/'))
  await until('the stopped worker owes claims', () =>
    app.supervisor.status().workers.some(({ pid, unclaimed }) => pid === victim && unclaimed > 0),
  )
  process.kill(victim, 'SIGKILL')
  for (const { status } of await Promise.all(answers)) assert.equal(status, 200)
  await allClosed(app.supervisor)
  assert.equal(sum(await metrics(), 'handover_connections_total'), 8)
})

test('a failed reload is counted once, and one that was rolled back as such', async (t) => {
  const worker = {
    worker: 1,
    generation: 1,
    restarts: 0,
    pid: 1,
    state: 'ready',
    ready: true,
    draining: false,
    stalled: false,
  }
  const numbers = {
    id: '1',
    group: null,
    queued: 1,
    unclaimed: 2,
    open: 3,
    total: 4,
    limit: 9,
    lag: 20,
    memory: 1e6,
    cpu: 0.5,
  }
  const workers: object[] = [{ ...worker, ...numbers }]
  const setbacks = { 'no room': 7 }
  let generations = [{ number: 1, state: 'serving', workers: 1 }]
  const status = () => ({ workers, generations, ports: [], dispatched: 1, waiting: 0, undecided: 0, setbacks })
  const fake = Object.assign(new EventEmitter(), { status, reload: () => Promise.reject(new Error('no')) })
  const { metrics } = await admin(t, fake as unknown as Watched)
  fake.emit('reloading', { generation: 2 })
  assert.equal(sum(await metrics(), 'handover_reloads_total'), 0, 'its first worker is still to come')
  fake.emit('started', { generation: 2 })
  workers.push({ ...worker, ...numbers, generation: 3 })
  fake.emit('reloading', { generation: 3 })
  generations = [
    { number: 1, state: 'standby', workers: 1 },
    { number: 3, state: 'serving', workers: 1 },
  ]
  fake.emit('switched', { generation: 3, previous: 1 })
  assert.equal(sum(await metrics(), 'handover_generation'), 3)
  generations = [
    { number: 1, state: 'serving', workers: 1 },
    { number: 3, state: 'draining', workers: 1 },
  ]
  fake.emit('rolledBack', { generation: 3, to: 1, reason: 'not healthy' })
  const told = await metrics()
  const results = Object.fromEntries(told.get('handover_reloads_total')?.values ?? [])
  assert.deepEqual(results, { 'result="done"': 0, 'result="failed"': 1, 'result="rolled back"': 1 })
  assert.equal(sum(told, 'handover_generation'), 1)
  assert.equal(sum(told, 'handover_setbacks_total', /kind="no room"/), 7)
  assert.equal(sum(told, 'handover_worker_lag_seconds', /generation="1"/), 0.02)
  assert.equal(sum(told, 'handover_unclaimed'), 6)
})

test('what is told is what the docs say, and no more', async (t) => {
  const app = await supervise(t, { script: fixture('http-pid.mjs') })
  const { metrics } = await admin(t, app.supervisor, { name: 'a "quoted"\nname', token: TOKEN })
  const told = await metrics()
  assert.deepEqual(
    [...told.keys()],
    METRICS.map(([name]) => name),
  )
  for (const [name, kind] of METRICS) assert.equal(told.get(name)?.kind, kind)
  const docs = readFileSync(join(root, 'docs/admin.md'), 'utf8')
  const rows = [...docs.matchAll(/^\| `((?:handover|process)_\w+)` +\| (\w+) +\| ([^|]*?) +\| ([^|]*?) +\|$/gm)]
  const table = rows.map(([, name, kind, labels, says]) => [name, kind, labels?.replaceAll('`', ''), says])
  assert.deepEqual(
    table,
    METRICS.map(([name, kind, labels, says]) => [name, kind, labels.join(', '), says]),
  )
  assert.ok(![...told.values()].some(({ values }) => [...values.keys()].some((labels) => labels.includes(TOKEN))))
})

const promtool = tool('promtool', 'prometheus')

test('promtool finds nothing wrong', promtool, async (t) => {
  const app = await supervise(t, { script: fixture('http-pid.mjs') })
  const { ask } = await admin(t, app.supervisor)
  const { child, ended, said } = start(t, promtool, ['check', 'metrics'], { input: (await ask('/metrics')).text })
  child.stdin?.end()
  assert.equal(await ended, 0, said())
})

test('those who ask at the same time get the same text', async (t) => {
  const app = await supervise(t, { script: fixture('http-pid.mjs') })
  const { ask } = await admin(t, app.supervisor)
  const answers = await Promise.all(Array.from({ length: 30 }, () => ask('/metrics')))
  assert.ok(answers.every(({ status, text }) => status === 200 && text.includes('handover_workers{state="ready"} 1')))
  await until('the supervisor is as it was', () => app.supervisor.status().workers.length === 1)
})
