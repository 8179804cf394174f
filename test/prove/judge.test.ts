import assert from 'node:assert/strict'
import test from 'node:test'
import { type Deed, judge } from '../../src/prove/judge.js'
import type { Loss } from '../../src/prove/outcome.js'

/** Worker 7 of 7 and 8 was killed at 1000, was gone at 1005, and had two connections; all was as before at 1500. */
const KILL: Deed = {
  what: 'kill',
  phase: 'kills',
  began: 1000,
  ended: 1500,
  killed: { pid: 7, gone: 1005, open: 2, workers: [7, 8] },
}
const RELOAD: Deed = { what: 'reload', phase: 'reloads', began: 2000, ended: 3000, killed: null }

/** A request that was reset when worker 7 was killed, on a connection that it had. */
const LOST: Loss = {
  id: '1/1',
  connection: 1,
  kind: 'keep-alive',
  outcome: 'reset',
  phase: 'kills',
  connectionBegan: 100,
  began: 990,
  ended: 1006,
  pid: 7,
  detail: 'ECONNRESET',
}

/** How many of these losses are allowed. */
function allowed(losses: Partial<Loss>[], deeds: readonly Deed[] = [KILL, RELOAD]): number {
  const verdicts = judge(
    losses.map((loss) => ({ ...LOST, ...loss })),
    deeds,
  )
  assert.equal(verdicts.length, losses.length)
  for (const { why } of verdicts) assert.notEqual(why, '')
  return verdicts.filter(({ allowedBy }) => allowedBy !== null).length
}

test('what a killed worker had may be reset, crossed or cut', () => {
  for (const outcome of ['reset', 'race', 'cut'] as const) assert.equal(allowed([{ outcome }]), 1, outcome)
})

test('no death of a worker excuses a refusal, a hang, a second answer or a wrong one', () => {
  for (const outcome of ['refused', 'hung', 'twice', 'wrong', 'unsent'] as const) {
    assert.equal(allowed([{ outcome }]), 0, outcome)
  }
})

test('what another worker had that lives is not to be lost with a killed one', () => {
  assert.equal(allowed([{ pid: 8 }]), 0)
})

test('a connection nobody has answered on, or one that an earlier worker handed over, may have been with the killed one', () => {
  assert.equal(allowed([{ pid: null }]), 1)
  assert.equal(allowed([{ pid: 5 }]), 1)
})

test('a connection that was begun after the worker was gone is not to be lost', () => {
  assert.equal(allowed([{ pid: null, connectionBegan: 1005.5, began: 1006, ended: 1010 }]), 0)
  assert.equal(allowed([{ pid: null, connectionBegan: 1004, began: 1004, ended: 1010 }]), 1)
})

test('nothing may be lost while nobody is killed: not before, not after, not in a reload', () => {
  assert.equal(allowed([{ ended: 999 }, { ended: 1501 }, { ended: 2500 }]), 0)
  assert.equal(allowed([{}], []), 0)
  assert.equal(allowed([{ ended: 2500 }], [RELOAD]), 0)
})

test('no more connections may be lost than the killed worker had', () => {
  assert.equal(allowed([{ connection: 1 }, { connection: 2 }]), 2)
  assert.equal(allowed([{ connection: 1 }, { connection: 2 }, { connection: 3 }]), 2)
})

test('several requests of one connection are lost with it as one', () => {
  assert.equal(allowed([{ connection: 1 }, { connection: 1, id: '1/2' }, { connection: 2 }]), 3)
})

test('connections that were begun just before the kill are not limited by a count that is older than they are', () => {
  const late = { connectionBegan: 950 }
  assert.equal(allowed([1, 2, 3, 4].map((connection) => ({ connection, ...late }))), 4)
})

test('where nobody counts, the number is not limited', () => {
  const uncounted = { ...KILL, killed: { pid: 7, gone: 1005, open: null, workers: [7, 8] } }
  assert.equal(
    allowed(
      [1, 2, 3, 4].map((connection) => ({ connection })),
      [uncounted],
    ),
    4,
  )
})
