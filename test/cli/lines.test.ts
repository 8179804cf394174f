/** What `handover run` says when something is wrong: one line each, which is true and tells what to do. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import test from 'node:test'
import { get } from '../support/client.js'
import { handover } from '../support/command.js'
import { folderOf } from '../support/configured.js'
import { fixture, scratch } from '../support/paths.js'
import { program } from '../support/programs.js'
import { AT_ONCE, done, LISTENS, started } from '../support/steered.js'

const linux = { skip: process.platform !== 'linux' }

test('a log folder that the system has no room for is one line, and no command that hangs', linux, async (t) => {
  const run = handover(t, ['run', '--log-dir', '/proc/logs/shop', fixture('http-pid.mjs')])
  assert.equal(await run.ended, 111)
  const [line, ...more] = run.stderr().trim().split('\n')
  assert.match(
    line as string,
    /^handover cannot write log files in \/proc\/logs\/shop: .*\/proc.*Choose another folder/,
  )
  assert.deepEqual(more, [])
  const check = await done(t, 'check', '--log-dir', '/proc/logs/shop', fixture('http-pid.mjs'))
  assert.equal(check.code, 111)
  assert.match(check.out, /^error +logs: .*\/proc/m)
})

test('a program that listens and does not say that it is ready is waited for in these words', async (t) => {
  const cwd = folderOf(t, { 'handover.config.json': { readiness: { explicit: true } } })
  const run = handover(t, ['run', fixture('http-pid.mjs')], { cwd })
  await run.line(LISTENS)
  await run.line(/no worker is ready yet: the program listens, and has not called worker\.ready\(\)/)
  assert.doesNotMatch(run.said(), /no worker listens yet/)
})

test('a program that is to say that it is ready, and does not even listen, is told both', async (t) => {
  const cwd = folderOf(t, { 'handover.config.json': { readiness: { explicit: true } } })
  const run = handover(t, ['run', fixture('never-listens.mjs')], { cwd })
  await run.line(/no worker is ready yet: the program has to listen, and to call worker\.ready\(\)/)
})

test('a program that does not listen is waited for in these words', async (t) => {
  const run = handover(t, ['run', fixture('never-listens.mjs')])
  await run.line(/no worker listens yet/)
})

test('workers that served, and die again and again, did not fail before they listened', async (t) => {
  const cwd = folderOf(t, { 'handover.config.json': { crashLoop: { deaths: 1, within: '30s' } } })
  const run = handover(t, ['run', fixture('crash-on-demand.mjs')], { cwd })
  const port = Number(await run.line(LISTENS))
  await run.line(/worker 1 ready/)
  await assert.rejects(get({ port }, '/crash'))
  assert.equal(await run.ended, 1)
  assert.match(
    run.stderr(),
    /^handover nothing serves any more, worker 1 failed: every worker died 1 times within 30 s/m,
  )
  assert.doesNotMatch(run.stderr(), /nothing listens|before it listens/)
})

test('while two generations are there, a worker that ends is told with its own', async (t) => {
  const { run, port } = await started(t, [], fixture('crash-on-demand.mjs'))
  const long = request({ host: '127.0.0.1', port, path: '/hang' }).on('error', () => {})
  t.after(() => void long.destroy())
  const [response] = (await once(long.end(), 'response')) as [IncomingMessage]
  response.on('error', () => {}).resume()
  assert.equal(await handover(t, ['reload', ...AT_ONCE, '--no-wait']).ended, 0)
  await run.line(/generation 2 has every new connection/)
  await assert.rejects(get({ port }, '/crash'))
  await run.line(/worker 1 of generation 2 ended \(exit code 7\); another starts/)
  long.destroy()
  await run.line(/worker 1 of generation 1 ended/)
})

test('a worker of the only generation is told without it', async (t) => {
  const { run, port } = await started(t, [], fixture('crash-on-demand.mjs'))
  await assert.rejects(get({ port }, '/crash'))
  await run.line(/worker 1 ended \(exit code 7\); another starts/)
})

test('a reload that fails is told in the same words, whoever asked for it', async (t) => {
  const FAILED =
    /reload failed, the old workers serve on: .*worker 1 ended \(exit code 3\).*Read what the workers wrote/
  const app = program(
    t,
    `if (process.env.HANDOVER_GENERATION > 1) process.exit(3)\nawait import(${JSON.stringify(fixture('http-pid.mjs'))})`,
  )
  for (const ask of ['SIGUSR2', 'command'] as const) {
    const { run } = await started(t, ['--name', ask.toLowerCase()], app)
    if (ask === 'SIGUSR2') run.child.kill(ask)
    else assert.equal((await done(t, 'reload', '--name', ask, ...AT_ONCE)).code, 1)
    await run.line(FAILED)
  }
  const alone = await started(t, ['--no-control'], app)
  alone.run.child.kill('SIGUSR2')
  await alone.run.line(FAILED)
})

const FAULT = /^handover handover\.config\.json: \w+: /

test('each fault of a configuration is a line of the command, at a start and at a reload', async (t) => {
  const broken = { workers: 'many', drainTimeout: 'never', nonsense: 1 }
  const cwd = folderOf(t, { 'handover.config.json': broken })
  const run = handover(t, ['run', fixture('http-pid.mjs')], { cwd })
  assert.equal(await run.ended, 100)
  const lines = run.stderr().trim().split('\n')
  assert.equal(lines.length, 3, run.stderr())
  for (const line of lines) assert.match(line, FAULT)
  const good = folderOf(t, { 'handover.config.json': {} })
  const served = handover(t, ['run', '--name', 'faults', fixture('http-pid.mjs')], { cwd: good })
  await served.line(/worker 1 ready/)
  writeFileSync(join(good, 'handover.config.json'), JSON.stringify(broken))
  const { code, err } = await done(t, 'reload', '--name', 'faults')
  assert.equal(code, 1)
  assert.deepEqual(err.trim().split('\n'), lines)
  await served.line(
    /reload failed, the old workers serve on: handover\.config\.json: .*\nhandover handover\.config\.json: .*\nhandover hand/,
  )
})

const SENDS = `process.send('ready')`
const WHY = /process\.send is PM2's and node:cluster's: .*worker\?\.ready\(\)/

test('a program from PM2 that calls process.send is told what to call, in the line that says why it failed', async (t) => {
  const run = handover(t, ['run', program(t, SENDS)], { cwd: scratch(t) })
  assert.equal(await run.ended, 1)
  const line = run
    .stderr()
    .split('\n')
    .find((each) => each.includes('nothing listens, worker 1 failed'))
  assert.match(String(line), WHY)
})

test('a new release that calls process.send is told so by the reload, in the log and in the terminal', async (t) => {
  const { run } = await started(t)
  const { code, err } = await done(t, 'reload', '--script', program(t, SENDS))
  assert.equal(code, 1)
  assert.match(err, WHY)
  await run.line(/reload failed, the old workers serve on: .*process\.send is PM2's/)
})

test('a program that fails otherwise is told nothing of process.send', async (t) => {
  const run = handover(t, ['run', fixture('throws.mjs')])
  assert.equal(await run.ended, 1)
  assert.doesNotMatch(run.stderr(), WHY)
})
