import assert from 'node:assert/strict'
import test from 'node:test'
import { prove, type Report } from '../../src/prove/prove.js'
import { tableOf } from '../../src/prove/table.js'
import { handover } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'
import { driverOf, holds, LOAD } from '../support/proved.js'

test('reloads alone lose nothing whatever, and idle connections do not end', async (t) => {
  noLeak(t)
  const report = await prove(driverOf(t), { ...LOAD, reloads: 5 })
  holds(report)
  assert.equal(report.all.counts.answered, report.asked, tableOf(report))
  assert.equal(report.idleEnds, 0)
})

test('the command of a user proves a script that is not its own', async (t) => {
  const load = ['--reloads', '2', '--kills', '2', '--clients', '30', '--seconds', '2', '--json']
  const run = handover(t, ['prove', ...load, fixture('http-pid.mjs')], { env: { ...process.env, PORT: '0' } })
  const code = await run.ended
  assert.equal(run.stderr(), '')
  const report = JSON.parse(run.stdout()) as Report
  assert.equal(report.excluded, 0, tableOf(report))
  assert.equal(code, 0)
  assert.equal(report.own, false)
  assert.equal(report.deeds.length, 4)
})

test('upgrades alone lose nothing whatever, and idle connections do not end', async (t) => {
  noLeak(t)
  const report = await prove(driverOf(t), { ...LOAD, upgrades: 3 })
  holds(report)
  assert.equal(report.all.counts.answered, report.asked, tableOf(report))
  assert.equal(report.idleEnds, 0)
})
