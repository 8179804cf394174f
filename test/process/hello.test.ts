import assert from 'node:assert/strict'
import test from 'node:test'
import { get } from '../support/client.js'
import { fixture } from '../support/paths.js'
import { supervise } from '../support/supervised.js'

test('an unmodified http server is served by every worker', async (t) => {
  const { port, pids } = await supervise(t, { script: fixture('http-pid.mjs'), workers: 2 })
  const seen = new Set<number>()
  for (let i = 0; i < 4; i++) seen.add(Number((await get({ port })).body.split(' ')[0]))
  assert.deepEqual([...seen].sort(), pids().sort())
})
