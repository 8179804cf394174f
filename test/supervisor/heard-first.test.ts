/** After the supervisor's own process stood still, what was said in time is heard before anybody is judged. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { KILL_AFTER, RELOAD_PORTS_GRACE, STALL_AFTER } from '../../src/limits.js'
import { StallWatch } from '../../src/supervisor/care/stalls.js'
import type { Generation } from '../../src/supervisor/generations/generation.js'
import { settleReadiness } from '../../src/supervisor/generations/generation-options.js'
import { HealthWindow } from '../../src/supervisor/generations/health-window.js'
import { type Candidates, Preparation } from '../../src/supervisor/generations/preparation.js'
import type { Stage } from '../../src/supervisor/generations/stage.js'
import { Frozen } from '../../src/supervisor/succession/frozen.js'
import type { Parts } from '../../src/supervisor/succession/parts.js'
import type { Slot, WorkerStatus } from '../../src/supervisor/workers/slot.js'
import { Tenant } from '../../src/supervisor/workers/tenant.js'
import type { WorkerEnd } from '../../src/supervisor/workers/worker.js'
import { noLeak } from '../support/descriptors.js'
import { answer, states } from '../support/generations.js'
import { program } from '../support/programs.js'
import { standStill, wordWhileStandingStill } from '../support/standing-still.js'
import { supervise } from '../support/supervised.js'

const generation = { number: 2, places: [] } as unknown as Generation

/** A stage on which workers listen on what `serving` says. */
function stageOf(serving: Map<unknown, number[]>): Stage {
  const ports = { portsOf: (slots: readonly unknown[]) => slots.flatMap((slot) => serving.get(slot) ?? []) }
  return { ports: { ...ports, addressOf: (id: number) => `/path/${id}` }, explicit: { awaits: () => false } } as never
}

/** Workers that take over within so many milliseconds from those that serve port 1. */
function preparing(slot: { state: string }, serving: Map<unknown, number[]>, milliseconds: number): Preparation {
  const old = { number: 1 }
  serving.set(old, [1])
  const slots = [slot] as unknown as Slot[]
  const previous = (): readonly Slot[] => [old as Slot]
  const candidates: Candidates = { generation, slots, previous, readiness: null, milliseconds }
  return new Preparation(stageOf(serving), candidates, () => {})
}

test('a worker that listened in time is ready', async (t) => {
  noLeak(t)
  const slot = { number: 1, state: 'starting' }
  const serving = new Map<unknown, number[]>()
  const preparation = preparing(slot, serving, 50)
  wordWhileStandingStill(t, 100, () => {
    slot.state = 'ready'
    serving.set(slot, [1])
    preparation.step()
  })
  await preparation.settled
})

test('a worker that listens elsewhere first, and then where it is to, is ready', async (t) => {
  noLeak(t)
  const slot = { number: 1, state: 'ready' }
  const serving = new Map<unknown, number[]>([[slot, [2]]])
  const preparation = preparing(slot, serving, 60_000)
  preparation.step()
  wordWhileStandingStill(t, RELOAD_PORTS_GRACE + 100, () => {
    serving.set(slot, [2, 1])
    preparation.step()
  })
  await preparation.settled
})

test('a worker that ended within the health window did, however late its end is heard', async (t) => {
  noLeak(t)
  const slot = { number: 1, status: () => null } as unknown as Slot
  const newcomers = { generation, slots: () => [slot], readiness: settleReadiness(), milliseconds: 50 }
  const outcomes: string[] = []
  const over = (): void => void outcomes.push('over')
  const back = (): void => void outcomes.push('back')
  const window = new HealthWindow(stageOf(new Map()), newcomers, { over, back })
  wordWhileStandingStill(t, 100, () => window.ended(slot, { code: 3, signal: null }, undefined))
  await assert.rejects(window.settled, /worker 1 ended \(exit code 3\) within 50 ms/)
  assert.deepEqual(outcomes, ['back'])
})

test('an answer to a question that came in time is an answer', async (t) => {
  noLeak(t)
  const source = `import { createServer } from 'node:http'
createServer((request, response) => {
  if (request.url === '/ready') console.log('asked ' + process.env.HANDOVER_GENERATION)
  setTimeout(() => response.end(process.env.HANDOVER_GENERATION), 50)
}).listen(0, '127.0.0.1')`
  const timeout = 2_000
  const readiness = { http: '/ready', interval: 20, timeout }
  const app = await supervise(t, { script: program(t, source), readiness })
  const reloaded = app.supervisor.reload({ healthWindow: 2 * timeout + app.enough })
  await once(app.supervisor, 'switched')
  await once(app.supervisor, 'line')
  await new Promise((resolve) => setImmediate(resolve))
  standStill(timeout + 200)
  assert.equal(await answer(app), '2')
  assert.deepEqual(states(app), ['1 standby', '2 serving'])
  await reloaded
})

test('a worker that has claimed is not told to have stopped', async (t) => {
  noLeak(t)
  const one = { worker: 1, generation: 1, pid: 1, since: 1, stalled: true, unclaimed: 3 }
  const told: string[] = []
  const watch = new StallWatch(
    () => [one as WorkerStatus],
    (name) => told.push(name),
  )
  watch.start()
  t.after(() => watch.stop())
  await new Promise<void>((resolve) =>
    wordWhileStandingStill(t, STALL_AFTER + 100, () => {
      one.stalled = false
      setImmediate(() => setImmediate(resolve))
    }),
  )
  assert.deepEqual(told, [])
})

test('a worker that came to rest in time lets its supervisor be replaced', async (t) => {
  noLeak(t)
  const held: string[] = []
  const tenant = { hold: () => void held.push('held') }
  const slot = { number: 1, pid: 1, record: null as object | null, tenant }
  const parts = {
    dispatcher: { lanes: [] },
    generations: { slots: [slot], underWay: null },
    slotOwner: { gate: { close() {} } },
  }
  wordWhileStandingStill(t, 300, () => {
    slot.record = {}
  })
  await new Frozen(parts as unknown as Parts).rest(100, new AbortController().signal)
  assert.deepEqual(held, ['held'])
})

test('a worker that stood still with its supervisor as it ended is not killed for it', async (t) => {
  noLeak(t)
  let end = (_: WorkerEnd): void => {}
  const killed: string[] = []
  const worker = {
    channel: {},
    stdout: null,
    stderr: null,
    ended: new Promise<WorkerEnd>((resolve) => {
      end = resolve
    }),
    kill: (signal: string) => void killed.push(signal),
  }
  const gate = { pass: (work: () => void) => work() }
  const tenant = new Tenant(worker as never, {} as never, {} as never, gate as never, () => {})
  tenant.endIn(0)
  setImmediate(() => {
    standStill(KILL_AFTER / 5 + 500)
    setTimeout(() => end({ code: 0, signal: null }), 100) // as it goes on
  })
  await tenant.ended
  assert.deepEqual(killed, [])
})
