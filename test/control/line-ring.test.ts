import assert from 'node:assert/strict'
import test from 'node:test'
import { LineRing, type WorkerLine } from '../../src/control/line-ring.js'
import { LOG_BYTES_KEPT, LOG_LINE_MAX, LOG_LINES_KEPT } from '../../src/limits.js'
import { controlled } from '../support/controlled.js'
import { until } from '../support/wait.js'

const texts = (lines: readonly WorkerLine[]): string[] => lines.map(({ text }) => text)
const line = (text: string, worker = 1) => ({ worker, stream: 'stdout' as const, text })

test('the last lines come back, oldest first, of all workers or of one', () => {
  const ring = new LineRing()
  for (const [text, worker] of [
    ['a', 1],
    ['b', 2],
    ['c', 1],
  ] as const)
    ring.add(line(text, worker))
  assert.deepEqual(texts(ring.last(10)), ['a', 'b', 'c'])
  assert.deepEqual(texts(ring.last(2)), ['b', 'c'])
  assert.deepEqual(texts(ring.last(2, 1)), ['a', 'c'])
  assert.deepEqual(texts(ring.last(0)), [])
})

test('no more lines are kept than the limit, however many come', () => {
  const ring = new LineRing()
  for (let index = 0; index < 5 * LOG_LINES_KEPT; index++) ring.add(line(String(index)))
  assert.equal(ring.length, LOG_LINES_KEPT)
  assert.equal(ring.last(1)[0]?.text, String(5 * LOG_LINES_KEPT - 1))
  assert.equal(ring.last(LOG_LINES_KEPT)[0]?.text, String(4 * LOG_LINES_KEPT))
})

test('no more text is kept than the limit, and long lines are cut', () => {
  const ring = new LineRing()
  for (let index = 0; index < 1000; index++) ring.add(line('x'.repeat(3 * LOG_LINE_MAX)))
  const kept = texts(ring.last(1000))
  assert.ok(kept.length > 1)
  assert.ok(kept.join('').length <= LOG_BYTES_KEPT)
  assert.equal(kept[0]?.length, LOG_LINE_MAX + 1)
})

test('a client follows the lines of one worker, from those there were', async (t) => {
  const ring = new LineRing()
  const { client } = await controlled(t, { ring })
  for (const worker of [1, 2, 1]) ring.add(line(`before ${worker}`, worker))
  const heard: string[] = []
  const one = await client()
  const done = one.request('logs', { lines: 1, worker: 1, follow: true }, (step) => {
    heard.push(...texts(step.lines as WorkerLine[]))
  })
  done.catch(() => {})
  await until('it follows', () => heard.length === 1)
  ring.add(line('not this', 2))
  ring.add(line('this', 1))
  await until('it heard', () => heard.length === 2)
  assert.deepEqual(heard, ['before 1', 'this'])
  one.close()
  await assert.rejects(done)
  await until('nobody is told any more', () => {
    ring.add(line('nobody', 1))
    return heard.length === 2
  })
})

test('lines that a client is too slow for are left out and counted; all else reaches it', async (t) => {
  const ring = new LineRing()
  const { client } = await controlled(t, { ring })
  const one = await client()
  let heard = 0
  let skipped = 0
  const done = one.request('logs', { lines: 0, follow: true }, (step) => {
    heard += (step.lines as unknown[]).length
    skipped += (step.skipped as number | undefined) ?? 0
  })
  done.catch(() => {})
  ring.add(line('first')) // not followed yet, perhaps
  await one.request('status')
  for (let index = 0; index < 5000; index++) ring.add(line(String(index))) // in one turn: nothing can be taken meanwhile
  await one.request('status')
  ring.add(line('last'))
  await until('all are accounted for', () => heard + skipped === 5001)
  assert.ok(skipped > 4000, `${skipped}`)
})
