/** Servers that are put to the proof in tests: bounded, so that each takes well under a minute on two cores. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Supervisor, type SupervisorOptions } from '../../src/index.js'
import { LibraryDriver } from '../../src/prove/library-driver.js'
import { asked } from '../../src/prove/outcome.js'
import { OWN_SCRIPT } from '../../src/prove/presets.js'
import { type ProveOptions, prove, type Report } from '../../src/prove/prove.js'
import { tableOf } from '../../src/prove/table.js'
import { noLeak } from './descriptors.js'

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

/** Why a way to distribute is left out; false: it is there. */
function missing(distribution: string): string | false {
  try {
    new Supervisor({ script: OWN_SCRIPT, distribution } as SupervisorOptions)
    return false
  } catch {
    return 'Supervisor has no option "distribution" yet'
  }
}

/** A supervisor of two workers that run the harness's own script. */
export function driverOf(mode: string | undefined): LibraryDriver {
  return new LibraryDriver({ script: OWN_SCRIPT, args: [], workers: 2, mode, env: { ...process.env, PORT: '0' } })
}

/** The rule for one way to distribute. */
export function losesNothing(mode: string): void {
  const why = missing(mode)
  // Where there is no such option yet there is one way only, and that is the usual one.
  const skip = mode === 'dispatch' ? false : why
  test(`20 reloads and 10 kills under load lose nothing that the guarantees exclude (${mode})`, { skip }, async (t) => {
    noLeak(t)
    const report = await prove(driverOf(why === false ? mode : undefined), { ...LOAD, reloads: 20, kills: 10 })
    holds(report)
    assert.equal(report.deeds.length, 30)
  })
}
