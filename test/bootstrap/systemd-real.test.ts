/** systemd's own socket activation starts the example, and clients are answered. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { get } from '../support/client.js'
import { type Command, command } from '../support/command.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { type NotifyManager, notifyManager } from '../support/notify-manager.js'
import { root, scratch } from '../support/paths.js'
import { freePort, sanitizers } from '../support/programs.js'

const TOOL = 'systemd-socket-activate'
const missing = spawnSync(TOOL, ['--version']).status !== 0
/** Where HANDOVER_PEERS=required, nothing is skipped: what is missing fails. */
const skip = missing && process.env.HANDOVER_PEERS !== 'required' && `needs ${TOOL} (package systemd)`

/** Lets systemd listen, and start the example at the first client. */
async function activated(t: TestContext, args: string[], manager: NotifyManager): Promise<Command> {
  assert.ok(!missing, `HANDOVER_PEERS=required: this test needs ${TOOL} (package systemd)`)
  const own = { NOTIFY_SOCKET: manager.address, ...sanitizers }
  const setenv = Object.entries(own).flatMap(([name, value]) => ['-E', `${name}=${value}`])
  const run = command(t, TOOL, [...args, ...setenv, process.execPath, join(root, 'examples/systemd.mjs')])
  await run.line(/Listening on /)
  return run
}

test('a TCP port: the first client starts the service, which says what it does', { skip }, async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const port = await freePort()
  const run = await activated(t, ['-l', `127.0.0.1:${port}`], manager)
  const pid = run.child.pid as number
  assert.equal((await get({ port })).body, `hello from process ${pid}, port unknown\n`)
  assert.deepEqual(await manager.next(), { lines: ['READY=1', 'STATUS=Serving unknown'], pid, descriptors: [] })
  assert.equal(manager.take(), null, 'a port that the manager has is not stored')

  process.kill(pid, 'SIGHUP')
  assert.equal((await manager.next()).lines[0], 'RELOADING=1')
  assert.deepEqual((await manager.next()).lines, ['READY=1', 'STATUS=Reloaded'])
  assert.match((await get({ port })).body, /^hello again /)

  process.kill(pid, 'SIGTERM')
  assert.equal((await manager.next()).lines[0], 'STOPPING=1')
  assert.equal(await run.ended, 0)
})

test('a UNIX path: served under its mode, and left in its place', { skip }, async (t) => {
  noLeak(t)
  const manager = notifyManager(t, 'abstract')
  const path = join(scratch(t), 'http')
  const run = await activated(t, ['-l', path], manager)
  const { mode, ino } = statSync(path)
  assert.match((await get({ path })).body, /^hello from process \d+, port unknown\n$/)
  assert.equal((await manager.next()).lines[0], 'READY=1')
  process.kill(run.child.pid as number, 'SIGTERM')
  assert.equal(await run.ended, 0)
  const after = statSync(path)
  assert.deepEqual([after.mode, after.ino], [mode, ino])
})

test('two ports with names: each is served under its own', { skip }, async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const path = join(scratch(t), 'admin')
  const port = await freePort()
  const run = await activated(t, ['-l', `127.0.0.1:${port}`, '-l', path, '--fdname=http:admin'], manager)
  const pid = run.child.pid as number
  assert.match((await get({ path })).body, /, port admin\n$/)
  assert.match((await get({ port })).body, /, port http\n$/)
  assert.deepEqual((await manager.next()).lines, ['READY=1', 'STATUS=Serving http, admin'])
  const open = [...openDescriptors(pid)].filter(([number]) => number === 3 || number === 4)
  assert.deepEqual(
    open.map(([, target]) => /^socket:/.test(target)),
    [true, true],
  )
})
