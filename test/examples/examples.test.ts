/** Every program of examples/ runs and does what its first lines say. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { get } from '../support/client.js'
import { command, handover } from '../support/command.js'
import { root } from '../support/paths.js'
import { until } from '../support/wait.js'

const example = (name: string): string => join(root, 'examples', name)
const PORT = /listening on (?:http:\/\/)?127\.0\.0\.1:(\d+)/

test('every example is run here', () => {
  assert.deepEqual(readdirSync(join(root, 'examples')).sort(), [
    'by-address.mjs',
    'http-server.mjs',
    'serve.mjs',
    'supervisor.mjs',
  ])
})

test('http-server and by-address: one client, one worker', async (t) => {
  const run = handover(t, ['run', '-w', '3', '--policy', example('by-address.mjs'), example('http-server.mjs')])
  const port = Number(await run.line(PORT))
  await until('all are ready', () => run.stdout().split(' ready (pid').length === 4)
  const seen = new Set<string>()
  for (let i = 0; i < 6; i++) seen.add((await get({ port }, '/hello')).body)
  assert.equal(seen.size, 1)
  assert.match([...seen][0] as string, /^GET \/hello answered by process \d+\n$/)
})

test('serve: alone and with two workers', async (t) => {
  const alone = command(t, process.execPath, [example('serve.mjs')])
  const port = Number(await alone.line(/serving on port (\d+)/))
  assert.match((await get({ port })).body, new RegExp(`served by ${alone.child.pid}`))
  const run = handover(t, ['run', '--no-preload', '-w', '2', example('serve.mjs')])
  const shared = Number(await run.line(PORT))
  await until('both are ready', () => run.stdout().split(' ready (pid').length === 3)
  const seen = new Set<string>()
  for (let i = 0; i < 4; i++) seen.add((await get({ port: shared })).body)
  assert.equal(seen.size, 2)
})

test('supervisor: serves, and stops when asked to', async (t) => {
  const run = command(t, process.execPath, [example('supervisor.mjs')])
  const port = Number(await run.line(PORT))
  assert.equal((await get({ port })).status, 200)
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
  assert.match(run.stdout(), /served 1 connections\n$/)
})
