import assert from 'node:assert/strict'
import test from 'node:test'
import { byHand } from '../support/admitted.js'
import { uncaught } from '../support/uncaught.js'

test('of what a program throws or rejects with, nothing gets further than a setback', async (t) => {
  const thrown = uncaught(t)
  const rejected: unknown[] = []
  const hear = (error: unknown) => void rejected.push(error)
  process.on('unhandledRejection', hear)
  t.after(() => process.off('unhandledRejection', hear))
  const verdicts: (() => unknown)[] = [
    () => {
      throw Object.create(null)
    },
    () => {
      throw { message: 5 }
    },
    () => {
      throw Object.assign(new Error('x'), { message: 5 })
    },
    () => Promise.reject(new Error('late')),
    () => ({ header: 1, proxied: {}, next: null }),
    () => ({
      header: 1,
      proxied: { peer: { address: 'x', port: 1 }, local: { address: '::1', port: 1 }, fields: [] },
      next: null,
    }),
    () => ({
      header: 1,
      proxied: {
        peer: { address: '::1', family: 'IPv6', port: 1 },
        local: { address: '::1', family: 'IPv6', port: 1 },
        fields: [{ type: 1, value: Buffer.alloc(60_000) }],
      },
      next: null,
    }),
    () => ({ refuse: '', reason: new Error('x') }),
  ]
  let next = 0
  const one = byHand(t, { inspect: () => verdicts[next++]?.() as never })
  await one.admit(...verdicts.map(() => 'hello'))
  assert.deepEqual(one.decided, [])
  assert.deepEqual(
    one.setbacks,
    verdicts.map(() => 'inspection failed'),
  )
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(thrown, [])
  assert.deepEqual(rejected, [])
})
