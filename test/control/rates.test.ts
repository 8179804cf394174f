import assert from 'node:assert/strict'
import test from 'node:test'
import { Rates } from '../../src/control/rates.js'
import { FakeSupervisor } from '../support/controlled.js'

test('a rate is what came since the look before the last, for each worker process', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const clock = t.mock.method(performance, 'now', () => now)
  let now = 10_000
  const supervisor = new FakeSupervisor()
  const workers = () => supervisor.status().workers
  const rates = new Rates(workers)
  t.after(() => rates.close())
  const pass = (connections: number): void => {
    now += 1000
    supervisor.total += connections
    t.mock.timers.tick(1000)
  }
  pass(100)
  pass(300)
  now += 500
  supervisor.total += 50
  assert.deepEqual(rates.of(workers()), [Math.round(350 / 1.5)])
  const successor = workers().map((worker) => ({ ...worker, pid: 78, total: 15 }))
  assert.deepEqual(rates.of(successor), [10], 'another process starts at zero')
  assert.ok(clock.mock.callCount() > 0)
})
