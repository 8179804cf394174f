import assert from 'node:assert/strict'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { isIgnored, OneAtATime } from '../../src/cli/watch.js'
import { get } from '../support/client.js'
import { handover } from '../support/command.js'
import { folderOf, server } from '../support/configured.js'
import { until } from '../support/wait.js'

const PORT = /listening on 127\.0\.0\.1:(\d+)/
const count = (text: string, what: string): number => text.split(what).length - 1

test('a change reloads, and the new program answers on the same port', async (t) => {
  const cwd = folderOf(t, { 'app.mjs': server('one') })
  const run = handover(t, ['run', '--watch', 'app.mjs'], { cwd })
  const port = Number(await run.line(PORT))
  await run.line(/watching \./)
  assert.equal((await get({ port })).body, 'one')
  writeFileSync(join(cwd, 'app.mjs'), server('two'))
  await run.line(/app\.mjs changed: reloading/)
  await until('the new one answers', async () => (await get({ port })).body === 'two')
})

test('node_modules, dot folders and the log folder do not count; a folder that is named does', async (t) => {
  const cwd = folderOf(t, { 'app/app.mjs': server(), 'lib/x.mjs': '', 'app/.git/x': '', 'app/node_modules/x': '' })
  const args = ['run', '--watch-path', 'app', '--watch-path', 'lib', '--log-dir', 'app/logs', 'app/app.mjs']
  const run = handover(t, args, { cwd })
  const port = Number(await run.line(PORT))
  await run.line(/watching app, lib/)
  for (const path of ['app/.git/x', 'app/node_modules/x']) appendFileSync(join(cwd, path), 'x')
  await get({ port }, '/line') // writes to the log
  appendFileSync(join(cwd, 'lib/x.mjs'), '// changed')
  await run.line(/lib\/x\.mjs changed: reloading/)
  assert.equal(count(run.said(), 'changed: reloading'), 1, run.said())
})

test('a reload that fails is told with what the workers wrote, and the old one serves on', async (t) => {
  const cwd = folderOf(t, { 'app.mjs': server('one') })
  const run = handover(t, ['run', '--watch', '--log-dir', 'logs', 'app.mjs'], { cwd })
  const port = Number(await run.line(PORT))
  await run.line(/watching \./)
  writeFileSync(join(cwd, 'app.mjs'), "throw new Error('broken on purpose')")
  await run.line(/reload failed, the old workers serve on: .*exit code 1/)
  assert.match(run.said(), /broken on purpose/)
  assert.equal((await get({ port })).body, 'one')
  writeFileSync(join(cwd, 'app.mjs'), server('two'))
  await until('the next one answers', async () => (await get({ port })).body === 'two')
})

test('the configuration is read again: what a reload changes changes, the rest is named', async (t) => {
  const config = (set: string, more: object): object => ({ script: 'app.mjs', watch: true, env: { SET: set }, ...more })
  const cwd = folderOf(t, {
    'handover.config.json': config('a', {}),
    'app.mjs': server().replace("response.end('one')", 'response.end(process.env.SET)'),
  })
  const run = handover(t, ['run'], { cwd })
  const port = Number(await run.line(PORT))
  await run.line(/watching \./)
  writeFileSync(join(cwd, 'handover.config.json'), JSON.stringify(config('b', { maxTotal: 5 })))
  await until('the new environment', async () => (await get({ port })).body === 'b')
  await run.line(/maxTotal in handover\.config\.json changed: a reload leaves that as it was, stop and start for it/)
  writeFileSync(join(cwd, 'handover.config.json'), '{')
  await run.line(/reload failed, the old workers serve on: handover\.config\.json.* is no JSON/)
  assert.equal((await get({ port })).body, 'b')
})

test('changes during a reload make one more, never two at once', async () => {
  let running = 0
  let runs = 0
  const going: (() => void)[] = []
  const reloads = new OneAtATime(async () => {
    assert.equal(++running, 1)
    runs++
    await new Promise<void>((resolve) => going.push(resolve))
    running--
  })
  for (let i = 0; i < 5; i++) reloads.ask()
  assert.equal(runs, 1)
  going[0]?.()
  await until('the second runs', () => runs === 2)
  going[1]?.()
  await until('it ended', () => running === 0)
  reloads.ask()
  assert.equal(runs, 3, 'nothing was left over')
  going[2]?.()
})

test('what counts is decided below what is watched', () => {
  const ignored = (path: string, ignore: string[] = []): boolean => isIgnored(path, ['/a/.hidden', '/a/src'], ignore)
  assert.ok(!ignored('/a/.hidden'))
  assert.ok(!ignored('/a/.hidden/x.js'))
  assert.ok(ignored('/a/src/.env/x.js'))
  assert.ok(ignored('/a/src/deep/node_modules/x.js'))
  assert.ok(ignored('/a/src/dist/x.js', ['dist']))
  assert.ok(ignored('/a/src/out/x.js', ['/a/src/out']))
  assert.ok(!ignored('/a/src/outer/x.js', ['/a/src/out']))
})
