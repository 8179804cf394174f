import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { Supervisor } from '../../src/index.js'
import { prove, type Report } from '../../src/prove/prove.js'
import { tableOf } from '../../src/prove/table.js'
import { handover } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { fixture, root } from '../support/paths.js'
import { driverOf, holds, LOAD } from '../support/proved.js'

test('reloads alone lose nothing whatever, and idle connections do not end', async (t) => {
  noLeak(t)
  const report = await prove(driverOf(undefined), { ...LOAD, reloads: 5 })
  holds(report)
  assert.equal(report.all.counts.answered, report.asked, tableOf(report))
  assert.equal(report.idleEnds, 0)
})

test('the command is put to the proof by its own commands, with a script that is not its own', async (t) => {
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

const library = 'takeOver' in Supervisor ? false : 'Supervisor has no "takeOver" yet'
test('upgrades under load lose nothing whatever, with a master of its own', { skip: library }, async (t) => {
  noLeak(t)
  const report = await prove(driverOf(undefined), { ...LOAD, upgrades: 3 })
  holds(report)
  assert.equal(report.all.counts.answered, report.asked, tableOf(report))
  assert.equal(report.idleEnds, 0)
})

const command = existsSync(join(root, 'dist/src/cli/commands/upgrade.js'))
  ? false
  : 'there is no `handover upgrade` yet'
test('upgrades under load lose nothing whatever, by the command', { skip: command }, async (t) => {
  const load = ['--reloads', '0', '--kills', '0', '--upgrades', '3', '--clients', '40', '--seconds', '2', '--json']
  const run = handover(t, ['prove', ...load])
  const code = await run.ended
  assert.equal(run.stderr(), '')
  const report = JSON.parse(run.stdout()) as Report
  holds(report)
  assert.equal(report.all.counts.answered, report.asked, tableOf(report))
  assert.equal(code, 0)
})
