/** A worker over a limit is replaced by another, which takes over first: nobody notices. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import type { SupervisorEvents, SupervisorOptions } from '../../src/index.js'
import { WorkerCare } from '../../src/supervisor/care/care.js'
import { settleCare } from '../../src/supervisor/care/care-options.js'
import { Pulse } from '../../src/supervisor/care/pulse.js'
import { Gate } from '../../src/supervisor/workers/gate.js'
import type { Slot } from '../../src/supervisor/workers/slot.js'
import { get } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { allAccept } from '../support/distributed.js'
import { asking, keeping } from '../support/lanes.js'
import { program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** /grow keeps 32 MiB more; /slow holds the event loop for 60 ms. */
const APP = `import { createServer } from 'node:http'
const kept = []
createServer((request, response) => {
  if (request.url === '/grow') kept.push(Buffer.alloc(32 << 20, 1))
  const until = request.url === '/slow' ? performance.now() + 60 : 0
  while (performance.now() < until);
  response.end(String(process.pid))
}).listen(0, '127.0.0.1')
`

type OverLimit = SupervisorEvents['overLimit'][0]

/** Workers of all kinds, and all ways in which connections get to them. */
const WAYS: [kind: string, options: Omit<SupervisorOptions, 'script'>][] = [
  ['processes', {}],
  ['threads', { threads: true }],
  ['share', { distribution: 'share' }],
  ['reuseport', { distribution: 'reuseport' }],
  ['share, a group', { distribution: 'share', groups: { shop: {} } }],
]
for (const [kind, options] of WAYS) {
  const { threads = false, distribution = 'dispatch' } = options
  if (distribution === 'reuseport' && process.platform !== 'linux') continue
  test(`a worker over maxMemory is replaced, and no client loses its connection or a request (${kind})`, async (t) => {
    noLeak(t)
    const limit = threads ? 120e6 : 260e6
    const app = await supervise(t, { ...options, script: program(t, APP), heartbeat: 50, maxMemory: limit }, 1)
    if (distribution !== 'dispatch') await allAccept(app)
    const loads = [await keeping(t, app.port, 4), await asking(app.port, 2)]
    const ended = once(app.supervisor, 'ended')
    const over = once(app.supervisor, 'overLimit')
    let on = true
    const grown = (async () => {
      while (on) await get({ port: app.port }, '/grow')
    })()
    const [event] = (await over) as [OverLimit]
    on = false
    await grown
    assert.deepEqual([event.worker, event.what, event.limit], [1, 'memory', limit])
    assert.ok(event.value > limit)
    const [{ pid, end, expected }] = (await ended) as [SupervisorEvents['ended'][0]]
    assert.deepEqual([pid, end.code, end.signal, expected], [event.pid, 0, null, true])
    const before = await Promise.all(loads.map((load) => load.stop()))
    assert.ok(before.every((bodies) => bodies.length > 0))
    if (!threads) assert.equal(new Set(before[0]).size, 2, 'connections moved to the successor')
  })
}

test('a worker over maxLag for several beats is replaced under load, and no request fails', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: program(t, APP), workers: 2, heartbeat: 100, maxLag: 30 })
  const over = once(app.supervisor, 'overLimit')
  const replaced = once(app.supervisor, 'replaced')
  const load = await asking(app.port, 4, '/slow')
  const kept = await keeping(t, app.port, 2)
  const [event] = (await over) as [OverLimit]
  assert.equal(event.what, 'lag')
  assert.ok(event.value > 30)
  assert.equal(((await replaced) as [SupervisorEvents['replaced'][0]])[0].previous, event.pid)
  await until('the one before is gone', () => !app.pids().includes(event.pid))
  assert.ok((await load.stop()).length > 0)
  assert.ok((await kept.stop()).length > 0)
})

/** A place, as far as care looks at it. */
function place(number: number): Slot {
  const fake = { number, pid: number, generation: 1, state: 'ready', debugged: false, pulse: new Pulse(), target: null }
  return fake as unknown as Slot
}

test('one worker at a time is replaced for a limit, and not one right behind the other', async (t) => {
  const slots = [place(1), place(2)] as [Slot, Slot]
  const replaced: number[] = []
  let tookOver = (): void => {}
  const care = new WorkerCare(settleCare({ maxMemory: 100 }, false), {
    slots: () => slots,
    serves: () => true,
    gate: new Gate(),
    suspend: () => {},
    replace: ({ number }) => {
      replaced.push(number)
      const done = new Promise<void>((resolve) => {
        tookOver = resolve
      })
      return { tookOver: done, done }
    },
    tell: () => {},
  })
  care.start()
  t.after(() => care.stop())
  const say = (memory: number): void => {
    for (const slot of slots) care.hears(slot, { type: 'beat', lag: 0, memory, heap: 0, cpu: 0 })
  }
  say(100)
  assert.deepEqual(replaced, [])
  say(101)
  say(101)
  assert.deepEqual(replaced, [1])
  tookOver()
  await new Promise(setImmediate)
  say(101)
  assert.deepEqual(replaced, [1], 'the time between two is not over')
})

test('lag counts when it is too much for several beats in a row', (t) => {
  const slot = place(1)
  const told: OverLimit[] = []
  const care = new WorkerCare(settleCare({ maxLag: 50 }, false), {
    slots: () => [slot],
    serves: () => true,
    gate: new Gate(),
    suspend: () => {},
    replace: () => ({ tookOver: Promise.resolve(), done: Promise.resolve() }),
    tell: (_name, event) => void told.push(event as OverLimit),
  })
  care.start()
  t.after(() => care.stop())
  for (const lag of [60, 60, 50, 60, 60]) care.hears(slot, { type: 'beat', lag, memory: 1, heap: 1, cpu: 1 })
  assert.deepEqual(told, [])
  care.hears(slot, { type: 'beat', lag: 70, memory: 1, heap: 1, cpu: 1 })
  assert.deepEqual(told, [{ worker: 1, pid: 1, generation: 1, what: 'lag', value: 70, limit: 50 }])
})
