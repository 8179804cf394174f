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
const empty = { pid: 0, ready: false, open: 0, total: 0, perSecond: 0, lag: null, claimLatency: null }
const workers: ControlWorker[] = [served, { ...served, ...empty, worker: 3, state: 'failed', restarts: 5 }]
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
  vacant: [{ worker: 2, generation: 3, group: null, restarts: 4, restartIn: 12_000 }],
}

test('places without a worker are shown, with when the next one starts', () => {
  const lines = statusLines(status)
  assert.ok(lines.includes('generation 3 serves: 1 of 3 workers'), lines.join('\n'))
  const rows = lines.slice(-3, -1).map((line) => line.trim().split(/ {2,}/))
  assert.deepEqual(
    rows.map(([worker, , pid, state, ...rest]) => [worker, pid, state, rest.at(-1)]),
    [
      ['1', '71', 'ready', '1s'],
      ['3', '-', 'failed', '-'],
    ],
  )
  assert.equal(lines.at(-1), 'worker 2 of generation 3 is not there: it starts again in 12s, after 4 restarts')
  assert.match(workerLines(status)[1] ?? '', /^worker 3 generation 3 pid - failed /)
})

test('the time until claims is its mean and its longest; a column of which nothing is known is left out', () => {
  const [head, first] = statusLines(status).slice(-4)
  assert.match(head ?? '', / claims /)
  assert.match(first ?? '', / 0\.3\/12 ms /)
  const accepts = workers.map((one) => ({ ...one, claimLatency: null }))
  assert.doesNotMatch(statusLines({ ...status, workers: accepts }).at(-4) ?? '', /claims/)
  const older = workers.map(({ claimLatency: _, ...one }) => one)
  const { vacant: _, ...rest } = status
  assert.match(statusLines({ ...rest, workers: older }).at(-1) ?? '', /failed/)
})
