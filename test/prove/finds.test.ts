import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { Outcome } from '../../src/prove/outcome.js'
import { OUTCOMES } from '../../src/prove/outcome.js'
import type { Report } from '../../src/prove/prove.js'
import { handover } from '../support/command.js'
import { fixture, scratch } from '../support/paths.js'

/** Puts a server to the proof that does one thing wrong. */
async function proveLosing(t: TestContext, how: string): Promise<{ code: unknown; report: Report; made: number }> {
  const faults = join(scratch(t), 'faults')
  const run = handover(
    t,
    [
      ...['prove', '--command', `'${process.execPath}' '${fixture('loses.mjs')}' ${how}`, '--json'],
      ...['--reloads', '1', '--reload-command', 'kill -USR2 $PID', '--workers-command', 'true', '--kills', '0'],
      ...['--seconds', '1', '--clients', '40', '--rate', '400', '--timeout', how === 'hangs' ? '2000' : '10000'],
    ],
    { env: { ...process.env, FAULTS: faults } },
  )
  const code = await run.ended
  assert.equal(run.stderr(), '')
  return { code, report: JSON.parse(run.stdout()) as Report, made: countIn(faults) }
}

function countIn(path: string): number {
  try {
    return readFileSync(path).length
  } catch {
    return 0
  }
}

/** Outcomes of all requests that were not answered as they should be, and how many each. */
function losses({ all }: Report): Partial<Record<Outcome, number>> {
  const wanted = OUTCOMES.filter((outcome) => outcome !== 'answered' && all.counts[outcome] > 0)
  return Object.fromEntries(wanted.map((outcome) => [outcome, all.counts[outcome]]))
}

const EACH: [how: string, outcome: Outcome, rule: string][] = [
  ['resets', 'reset', 'a connection that is reset before its answer'],
  ['cuts', 'cut', 'an answer that breaks off'],
  ['hangs', 'hung', 'a request that is never answered'],
  ['closes-idle', 'race', 'a kept connection that ends just when its next request comes'],
  ['answers-twice', 'twice', 'an answer that comes twice'],
  ['another-id', 'wrong', 'the answer to another request'],
  ['another-body', 'wrong', 'a body that is not the one that was sent'],
  ['fails', 'wrong', 'a status that tells of a failure'],
]

for (const [how, outcome, rule] of EACH) {
  test(`${rule} is found each time, taken for nothing else, and the exit code is 1`, async (t) => {
    const { code, report, made } = await proveLosing(t, how)
    assert.equal(code, 1)
    assert.ok(made > 0)
    const found = losses(report)
    // Which of the two it was is told by the time it took, and that is the machine's.
    const { reset = 0, race = 0, ...others } = found
    const ended = outcome === 'reset' || outcome === 'race'
    assert.equal(ended ? reset + race : others[outcome], made, JSON.stringify(found))
    assert.deepEqual(Object.keys(ended ? others : found), ended ? [] : [outcome])
    assert.ok((found[outcome] ?? 0) > 0)
    assert.equal(report.excluded, made)
    assert.equal(report.asked, report.all.counts.answered + made)
  })
}

test('a server that refuses connections for a moment at a reload is found, and the exit code is 1', async (t) => {
  const { code, report } = await proveLosing(t, 'refuses')
  assert.equal(code, 1)
  const { refused = 0, reset = 0, ...others } = losses(report)
  assert.ok(refused > 0)
  // What waited in the queue of a port that is closed is reset by the system.
  assert.ok(reset <= refused)
  // `close` ends connections that are idle: a request may cross with that.
  assert.deepEqual(
    Object.keys(others).filter((outcome) => outcome !== 'race'),
    [],
  )
})

for (const [how, outcome, lost] of [
  ['line-twice', 'twice', 'comes back twice'],
  ['line-cut', 'cut', 'is answered by the end of the connection'],
] as const) {
  test(`a long-lived connection on which a line ${lost} is found`, async (t) => {
    const { code, report, made } = await proveLosing(t, how)
    assert.equal(code, 1)
    assert.ok(made > 0)
    assert.equal(report.kinds.connection[outcome], made)
  })
}

test('a server that does nothing wrong passes, and the exit code is 0', async (t) => {
  const { code, report } = await proveLosing(t, 'nothing')
  assert.deepEqual(losses(report), {})
  assert.equal(code, 0)
  assert.equal(report.asked, report.all.counts.answered)
  assert.ok(report.asked > 40, String(report.asked))
})
