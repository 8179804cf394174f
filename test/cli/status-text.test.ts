/** The status shows who is there, and who is not. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { statusLines, workerLines } from '../../src/cli/status-text.js'
import type { ControlStatus, ControlWorker } from '../../src/control/status-answer.js'

const served: ControlWorker = {
  id: '1',
  worker: 1,
  group: null,
  generation: 3,
  pid: 71,
  state: 'ready',
  restarts: 0,
  ready: true,
  draining: false,
  stalled: false,
  queued: 0,
  unclaimed: 0,
  open: 4,
  total: 90,
  limit: 100,
  accepts: false,
  perSecond: 7,
  since: Date.now() - 1_000,
  lag: 2,
  claimLatency: { last: 0.4, mean: 0.26, max: 12.4 },
}
const workers: ControlWorker[] = [served]
const status: ControlStatus = {
  name: 'shop',
  pid: 70,
  handover: '1',
  node: 'v22',
  script: null,
  since: Date.now(),
  ports: [],
  dispatched: 90,
  waiting: 0,
  undecided: 0,
  setbacks: {},
  perSecond: 7,
  generations: [{ number: 3, state: 'serving' }],
  workers,
  vacant: [
    { worker: 2, generation: 3, group: null, state: 'waiting', restarts: 4, restartIn: 12_000 },
    { worker: 3, generation: 3, group: null, state: 'failed', restarts: 5, restartIn: null },
  ],
}

test('places without a worker are shown, with when the next one starts', () => {
  const lines = statusLines(status)
  assert.ok(lines.includes('generation 3 serves: 1 of 3 workers'), lines.join('\n'))
  const [worker, , pid, state, ...rest] = (lines.at(-3) ?? '').trim().split(/ {2,}/)
  assert.deepEqual([worker, pid, state, rest.at(-1)], ['1', '71', 'ready', '1s'])
  assert.deepEqual(lines.slice(-2), [
    'worker 2 of generation 3 is not there: it starts again in 12s, after 4 restarts',
    'worker 3 of generation 3 is not there: it is given up until a reload, after 5 restarts',
  ])
  assert.match(workerLines(status)[0] ?? '', /^worker 1 generation 3 pid 71 ready /)
})

test('the time until claims is its mean and its longest; a column of which nothing is known is left out', () => {
  const [head, first] = statusLines(status).slice(-4)
  assert.match(head ?? '', / claims /)
  assert.match(first ?? '', / 0\.3\/12 ms /)
  const accepts = workers.map((one) => ({ ...one, claimLatency: null }))
  assert.doesNotMatch(statusLines({ ...status, workers: accepts }).at(-4) ?? '', /claims/)
  const older = workers.map(({ claimLatency: _, ...one }) => one)
  const { vacant: _, ...rest } = status
  assert.match(statusLines({ ...rest, workers: older }).at(-1) ?? '', / ready /)
})
