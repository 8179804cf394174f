/** Every program of examples/ runs and does what its first lines say. */
import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
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
    'copy-descriptor.mjs',
    'http-server.mjs',
    'notify-socket.mjs',
    'pass-connection.mjs',
    'send-and-receive.mjs',
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

test('send-and-receive: what one side gathers the other scatters', async (t) => {
  const run = command(t, process.execPath, [example('send-and-receive.mjs')])
  assert.equal(await run.ended, 0)
  assert.match(run.stdout(), /the server received "a longer line"/)
  assert.match(run.stdout(), /the client received "A LONGER LINE"\n$/)
})

test('copy-descriptor: the child reads what it has no path of', async (t) => {
  const run = command(t, process.execPath, [example('copy-descriptor.mjs')])
  assert.equal(await run.ended, 0)
  assert.match(run.stdout(), /the parent sent 1 byte and descriptor \d+\n/)
  assert.match(run.stdout(), /the child received "!" and descriptor \d+, which begins with "\/\/ Copies/)
})

test('notify-socket: the service is known by the kernel’s word, and its descriptor is kept', async (t) => {
  const run = command(t, process.execPath, [example('notify-socket.mjs')])
  assert.equal(await run.ended, 0)
  assert.equal(
    run.stdout(),
    [
      'the service says {"READY":"1","STATUS":"Serving nobody yet"}',
      'the service says {"FDSTORE":"1","FDNAME":"state"}',
      `kept as state: a file of ${statSync(example('notify-socket.mjs')).size} bytes`,
      'the service says {"STOPPING":"1"}\n',
    ].join('\n'),
  )
})

test('pass-connection: each request is answered by the worker that has its connection', async (t) => {
  const run = command(t, process.execPath, [example('pass-connection.mjs')])
  assert.equal(await run.ended, 0)
  assert.equal(run.stdout(), '4 requests were answered by 2 workers\n')
})
