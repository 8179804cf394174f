import assert from 'node:assert/strict'
import test from 'node:test'
import { HeldDescriptors } from '../../src/channel/held-descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'

test('claims close the oldest first, across growth and the end of the ring', (t) => {
  const closed: number[] = []
  fakeKernel(t, {
    closeMany: (_real, descriptors, first, count) => {
      closed.push(...descriptors.subarray(first, first + count))
      return 0
    },
  })
  const held = new HeldDescriptors()
  let given = 0
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 97; i++) held.take(given++, round)
    const { descriptors, first, count } = held.next(253)
    assert.equal(descriptors[first], held.sent, 'the next to send is the oldest unsent')
    held.sent += count
    held.close(held.settled + Math.floor(held.unclaimed / 2))
  }
  held.sent = held.taken
  held.close(held.taken)
  assert.deepEqual(
    closed,
    Array.from({ length: given }, (_, i) => i),
  )
  assert.deepEqual([held.queued, held.unclaimed], [0, 0])
})

test('what is given back keeps its order and its tags, sent or not', () => {
  const held = new HeldDescriptors()
  for (let i = 0; i < 300; i++) held.take(1000 + i, 1 + (i % 3))
  held.sent = 100
  const returned = held.giveBack(held.taken)
  assert.deepEqual(
    [...returned.descriptors],
    Array.from({ length: 300 }, (_, i) => 1000 + i),
  )
  assert.deepEqual(
    [...returned.tags],
    Array.from({ length: 300 }, (_, i) => 1 + (i % 3)),
  )
  assert.deepEqual([held.queued, held.unclaimed, held.settled], [0, 0, 300])
})
