/** Servers that are put to the proof in tests: bounded, so that each takes well under a minute on two cores. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { CommandDriver } from '../../src/prove/command-driver.js'
import { asked } from '../../src/prove/outcome.js'
import { OWN_SCRIPT } from '../../src/prove/presets.js'
import { type ProveOptions, prove, type Report } from '../../src/prove/prove.js'
import { tableOf } from '../../src/prove/table.js'
import { noLeak } from './descriptors.js'
import { scratch } from './paths.js'

export const LOAD: ProveOptions = {
  reloads: 0,
  kills: 0,
  upgrades: 0,
  clients: 40,
  rate: 400,
  timeout: 10_000,
  duration: 1_000,
  path: '/',
}

/** Nothing is lost that the guarantees exclude, each request has one fate, and each kind of client was there. */
export function holds(report: Report): void {
  const table = tableOf(report)
  assert.equal(report.excluded, 0, table)
  assert.equal(report.asked, asked(report.all.counts))
  const byKind = Object.values(report.kinds).map(asked)
  assert.equal(
    byKind.reduce((sum, count) => sum + count, 0),
    report.asked,
  )
  for (const count of byKind) assert.ok(count > 0, table)
}

/** The command with two workers that run the harness's own script; old ones stand by for no time, as there is much to do. */
export function driverOf(t: TestContext, mode?: string): CommandDriver {
  const env = { ...process.env, PORT: '0' }
  const options = { script: OWN_SCRIPT, args: [], workers: 2, mode, healthWindow: 0, env }
  return new CommandDriver(options, join(scratch(t), 'control.sock'))
}

/** The rule for one way to distribute. */
export function losesNothing(mode: string): void {
  test(`20 reloads, 10 kills and 2 upgrades under load lose nothing that the guarantees exclude (${mode})`, async (t) => {
    noLeak(t)
    const report = await prove(driverOf(t, mode), { ...LOAD, reloads: 20, kills: 10, upgrades: 2 })
    holds(report)
    assert.equal(report.deeds.length, 32)
  })
}
