import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import test from 'node:test'
import { OWN_SCRIPT } from '../../src/prove/presets.js'
import { leaves } from '../../src/prove/processes.js'
import type { Report } from '../../src/prove/prove.js'
import { handover, isAlive } from '../support/command.js'
import { fixture, scratch } from '../support/paths.js'
import { freePort } from '../support/programs.js'
import { until } from '../support/wait.js'

const LOAD = ['--clients', '40', '--rate', '400', '--seconds', '2']

test('node:cluster is put to the same proof: its reloads lose what lives, and all of it is accounted for', async (t) => {
  const run = handover(t, ['prove', ...LOAD, '--preset', 'cluster', '--reloads', '1', '--kills', '1', '--json'])
  const code = await run.ended
  assert.equal(run.stderr(), '')
  const report = JSON.parse(run.stdout()) as Report
  assert.equal(report.own, true)
  assert.equal(report.deeds.length, 2)
  // Long-lived connections stay with the old worker, which is ended after its time.
  const lived = report.verdicts.filter(({ loss }) => loss.phase === 'reloads' && loss.kind === 'connection')
  assert.ok(lived.length > 0 && lived.every(({ allowedBy, loss }) => allowedBy === null && loss.outcome === 'cut'))
  assert.equal(report.excluded + report.allowed, report.asked - report.all.counts.answered)
  assert.equal(code, 1)
})

test('any command is put to the proof, by its address and its own path', async (t) => {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/where?it=is`
  const command = `'${process.execPath}' '${fixture('http-pid.mjs')}'`
  const run = handover(t, ['prove', ...LOAD, '--reloads', '0', '--kills', '0', '--command', command, '--url', url], {
    env: { ...process.env, PORT: String(port) },
  })
  assert.equal(await run.ended, 0, run.said())
  assert.match(run.stdout(), /lost though the guarantees exclude it: 0/)
  assert.ok(run.stderr().includes(`40 clients ask ${url},`), run.stderr())
})

test('a signal ends the proof, with all that it started and wrote', async (t) => {
  const folder = scratch(t)
  const env = { ...process.env, TMPDIR: folder }
  const run = handover(t, ['prove', ...LOAD, '--seconds', '600', OWN_SCRIPT], { env })
  await run.line(/clients ask/)
  const started = leaves(run.child.pid ?? 0)
  assert.ok(started.length >= 2, String(started))
  run.child.kill('SIGINT')
  assert.equal(await run.ended, 130)
  await until('nothing that it started runs', () => !started.some(isAlive))
  assert.deepEqual(readdirSync(folder), [])
})

test('a proof that is killed leaves no server behind', async (t) => {
  const run = handover(t, ['prove', ...LOAD, '--seconds', '600'], { env: { ...process.env, TMPDIR: scratch(t) } })
  await run.line(/clients ask/)
  const started = leaves(run.child.pid ?? 0)
  run.child.kill('SIGKILL')
  await run.exited
  await until('nothing that it started runs', () => !started.some(isAlive))
})

const refused: [rule: string, args: string[], code: number, message: RegExp][] = [
  ['a command and a script', ['--command', 'x', OWN_SCRIPT], 100, /--command says what runs: leave out the script/],
  [
    'an address for a script',
    ['--url', 'http://127.0.0.1:1/', OWN_SCRIPT],
    100,
    /--url goes with --command or --preset/,
  ],
  ['an address that is none', ['--command', 'x', '--url', '127.0.0.1:1'], 100, /begins with http:\/\/, not "127/],
  ['a path without a slash', ['--path', 'health', OWN_SCRIPT], 100, /--path begins with a slash/],
  ['a mode of another master', ['--mode', 'share', '--preset', 'cluster'], 100, /--mode is for scripts that handover/],
  ['no such script', ['missing.js'], 100, /no script missing\.js/],
  ['a script that ends', [fixture('ends.mjs')], 111, /ends\.mjs does not start, or listens on no TCP port/],
  ['a command that fails', ['--command', 'exit 3'], 111, /nothing listens on .* after: exit 3/],
  ['no way to reload', ['--command', `'${process.execPath}' '${fixture('http-pid.mjs')}'`], 111, /--reload-command/],
]

for (const [rule, args, code, message] of refused) {
  test(`${rule}: it is said in a line, with exit code ${code}`, async (t) => {
    const run = handover(t, ['prove', '--clients', '2', '--seconds', '1', ...args], { cwd: scratch(t) })
    assert.equal(await run.ended, code, run.said())
    assert.match(run.stderr(), message)
    assert.ok(!/^\s+at /m.test(run.stderr()), 'no stack trace')
  })
}
