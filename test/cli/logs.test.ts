import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { get } from '../support/client.js'
import { command, handover } from '../support/command.js'
import { folderOf, server } from '../support/configured.js'
import { bin } from '../support/paths.js'
import { until } from '../support/wait.js'

const PORT = /listening on 127\.0\.0\.1:(\d+)/
const TIME = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z'
const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '')

test('each worker has a file, with the time and the stream of every line, and the terminal has none of them', async (t) => {
  const cwd = folderOf(t, { 'app.mjs': server() })
  const run = handover(t, ['run', '--log-dir', 'logs', '-w', '2', 'app.mjs'], { cwd })
  const port = Number(await run.line(PORT))
  const path = (worker: number): string => join(cwd, `logs/app-worker-${worker}.log`)
  await until('both wrote', () => [1, 2].every((worker) => read(path(worker)).includes('"word"')))
  await get({ port }, '/line')
  const both = (): string => read(path(1)) + read(path(2))
  await until('a line and an error', () => /a line/.test(both()) && /an error/.test(both()))
  assert.match(both(), new RegExp(`^${TIME} out a line$`, 'm'))
  assert.match(both(), new RegExp(`^${TIME} err an error$`, 'm'))
  assert.ok(!run.said().includes('a line'))
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
})

test('SIGUSR1 goes on in new files, as logrotate wants it, and opens no inspector', async (t) => {
  const cwd = folderOf(t, { 'app.mjs': server() })
  const run = handover(t, ['run', '--log-dir', 'logs', 'app.mjs'], { cwd })
  const port = Number(await run.line(PORT))
  await run.line(/worker 1 ready/)
  const path = join(cwd, 'logs/app-worker-1.log')
  await get({ port }, '/line')
  await until('the old file has the line', () => read(path).includes('an error'))
  renameSync(path, `${path}.1`)
  const old = read(`${path}.1`)
  run.child.kill('SIGUSR1')
  await until('there is a new file', () => existsSync(path))
  await get({ port }, '/line')
  await until('the new file has the line', () => read(path).includes('an error'))
  assert.equal(read(`${path}.1`), old)
  assert.ok(!run.said().includes('Debugger listening'))
})

test('a disk that is full is one line; the service goes on, and writes again when there is room', async (t) => {
  const cwd = folderOf(t, { 'app.mjs': server(), 'logs/x': '' })
  const path = join(cwd, 'logs/app-worker-1.log')
  symlinkSync('/dev/full', path)
  const run = handover(t, ['run', '--log-dir', 'logs', 'app.mjs'], { cwd })
  const port = Number(await run.line(PORT))
  await run.line(/cannot write .*app-worker-1\.log: ENOSPC: no space left on device, write; the service goes on/)
  for (let i = 0; i < 20; i++) assert.equal((await get({ port }, '/line')).status, 200)
  rmSync(path)
  run.child.kill('SIGUSR1')
  await run.line(/app-worker-1\.log is written again; 0 lines were dropped/)
  await until('all lines are there', () => read(path).split(' out a line').length === 21)
  assert.equal(run.said().split('cannot write').length, 2, 'said once')
})

const mayMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0

test('a file system that fills up and gets room again loses no line and needs no signal', {
  skip: !mayMount,
}, async (t) => {
  const cwd = folderOf(t, { 'app.mjs': server(), 'logs/x': '' })
  const script = `mount -t tmpfs -o size=16k none logs && exec "$0" "$1" run --log-dir logs app.mjs`
  const run = command(t, 'unshare', ['-m', 'sh', '-c', script, process.execPath, bin], { cwd })
  const port = Number(await run.line(PORT))
  // As this process sees it: the mount is another's.
  const folder = `/proc/${run.child.pid}/root${cwd}/logs`
  writeFileSync(join(folder, 'ballast'), Buffer.alloc(8 * 1024))
  let asked = 0
  await until('it is full', async () => {
    await get({ port }, '/line')
    asked++
    return /cannot write .*ENOSPC/.test(run.said())
  })
  rmSync(join(folder, 'ballast'))
  await run.line(/is written again; 0 lines were dropped/)
  await until(
    'all lines are there',
    () => read(join(folder, 'app-worker-1.log')).split(/ out a line\n/).length === asked + 1,
  )
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
})

test('a log folder that cannot be written is one line with exit code 111, and nothing starts', async (t) => {
  const cwd = folderOf(t, { 'app.mjs': server(), file: '' })
  const run = handover(t, ['run', '--log-dir', 'file/logs', 'app.mjs'], { cwd })
  assert.equal(await run.ended, 111)
  assert.match(
    run.stderr(),
    /^handover cannot write log files in .*file\/logs: .*file is no folder\. Choose another folder, or give/,
  )
  assert.equal(run.stderr().trim().split('\n').length, 1)
  assert.equal(run.stdout(), '')
})

test('what a worker says before the service is there is shown as well', async (t) => {
  const cwd = folderOf(t, { 'app.mjs': "throw new Error('broken on purpose')" })
  const run = handover(t, ['run', '--log-dir', 'logs', 'app.mjs'], { cwd })
  assert.equal(await run.ended, 1)
  assert.match(run.stderr(), /broken on purpose/)
  assert.match(read(join(cwd, 'logs/app-worker-1.log')), /broken on purpose/)
})

test('what new workers say until they serve is shown as well, also of a reload that stood in line', async (t) => {
  const source = `import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
const { HANDOVER_GENERATION: generation } = process.env
writeFileSync('began-' + generation, '')
const look = () => {
  if (generation !== '1' && !existsSync('go-' + generation)) return setTimeout(look, 20)
  console.log('about to listen', generation)
  createServer((_, response) => response.end(generation)).listen(0, '127.0.0.1')
}
look()`
  const cwd = folderOf(t, { 'app.mjs': source })
  const run = handover(t, ['run', '-w', '1', '--log-dir', 'logs', 'app.mjs'], { cwd })
  await run.line(/worker 1 ready/)
  const first = handover(t, ['reload'], { cwd })
  await until('the first prepares', () => existsSync(join(cwd, 'began-2')))
  const second = handover(t, ['reload'], { cwd })
  await second.line(/waits for the reload before it/)
  writeFileSync(join(cwd, 'go-2'), '')
  assert.equal(await first.ended, 0, first.said())
  await until('the second prepares', () => existsSync(join(cwd, 'began-3')))
  writeFileSync(join(cwd, 'go-3'), '')
  assert.equal(await second.ended, 0, second.said())
  for (const generation of [1, 2, 3]) assert.match(run.said(), new RegExp(`about to listen ${generation}`))
})
