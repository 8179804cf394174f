import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { rendezvous } from '../../src/dispatch/rendezvous.js'

const KEYS = Array.from({ length: 20_000 }, (_, i) => `192.0.${i >> 8}.${i & 255}/32`)
const named = (...ids: (string | number)[]): { id: string }[] => ids.map((id) => ({ id: String(id) }))
const numbered = (count: number): { id: string }[] => named(...Array.from({ length: count }, (_, i) => i + 1))
const chosen = (key: string, candidates: { id: string }[]): string =>
  candidates[rendezvous(key, candidates)]?.id as string

test('keys spread evenly over candidates, however many and whatever they are called', () => {
  for (const candidates of [
    numbered(2),
    numbered(3),
    numbered(16),
    named('web/1', 'web/2', 'api/1'),
    named('a', 'b'),
  ]) {
    const counts = new Map<string, number>()
    for (const key of KEYS) counts.set(chosen(key, candidates), (counts.get(chosen(key, candidates)) ?? 0) + 1)
    const mean = KEYS.length / candidates.length
    for (const { id } of candidates) {
      const count = counts.get(id) ?? 0
      assert.ok(Math.abs(count - mean) < 6 * Math.sqrt(mean), `${id} of ${candidates.length} has ${count}, not ${mean}`)
    }
  }
})

test('keys that differ in one character only spread as well', () => {
  const counts = [0, 0, 0, 0]
  for (let i = 0; i < 8000; i++) {
    const at = rendezvous(`user${i}`, numbered(4))
    counts[at] = (counts[at] as number) + 1
  }
  for (const count of counts) assert.ok(Math.abs(count - 2000) < 200, `${counts}`)
})

test('who leaves takes along only the keys that were its own', () => {
  const before = numbered(7)
  const after = before.filter(({ id }) => id !== '4')
  for (const key of KEYS.slice(0, 5000)) {
    if (chosen(key, before) !== '4') assert.equal(chosen(key, after), chosen(key, before))
  }
})

test('who comes takes about its share, and nothing moves between the others', () => {
  const [before, after] = [numbered(7), numbered(8)]
  let moved = 0
  for (const key of KEYS) {
    if (chosen(key, before) === chosen(key, after)) continue
    assert.equal(chosen(key, after), '8')
    moved += 1
  }
  assert.ok(Math.abs(moved - KEYS.length / 8) < 6 * Math.sqrt(KEYS.length / 8), `${moved} moved`)
})

test('who has no room is passed over, as if it were not there; nobody has: -1', () => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.integer({ min: -1, max: 2 }), { maxLength: 9 }), (key, room) => {
      const candidates = numbered(room.length)
      const at = rendezvous(key, candidates, Int32Array.from(room))
      const left = candidates.filter((_, i) => (room[i] as number) > 0)
      if (left.length === 0) return assert.equal(at, -1)
      assert.equal(candidates[at]?.id, chosen(key, left))
    }),
  )
})

test('the order of the candidates does not matter', () => {
  const shuffled = fc
    .uniqueArray(fc.string(), { minLength: 1, maxLength: 12 })
    .chain((ids) => fc.tuple(fc.constant(ids), fc.shuffledSubarray(ids, { minLength: ids.length })))
  fc.assert(
    fc.property(fc.string(), shuffled, (key, [ids, others]) => {
      assert.equal(chosen(key, named(...ids)), chosen(key, named(...others)))
    }),
  )
})

test('the choice is the same in every process, and in every release', () => {
  const candidates = numbered(10)
  const keys = ['', 'a', '192.0.2.7/32', '2001:db8::/64', 'www.example.com', 'é', '\u{1f600}', 'x'.repeat(1000)]
  assert.deepEqual(
    keys.map((key) => chosen(key, candidates)),
    ['8', '5', '10', '5', '10', '1', '10', '9'],
  )
})
