/** Whoever dies while a supervisor is replaced: somebody goes on, and it is one. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { assertSockets, socketCount } from '../support/descriptors.js'
import { program } from '../support/programs.js'
import { APP, crowd } from '../support/succession-clients.js'
import { isRunning, succession } from '../support/successions.js'
import { until } from '../support/wait.js'

for (const fault of [
  'heir:exit',
  'heir:receive:1:before:die',
  'heir:receive:1:after:die',
  'heir:receive:2:after:die',
  'heir:receive:2:after:throw',
  'heir:send:1:before:die',
  'heir:send:1:before:stop',
  'heir:send:1:after:die',
  'heir:send:1:after:stop',
  'old:send:1:after:throw',
  'old:send:2:before:throw',
  'old:receive:1:before:throw',
  'old:receive:1:after:throw',
  'old:send:3:before:throw',
]) {
  test(`a replacement that fails before its commit changes nothing (${fault})`, async (t) => {
    const app = await succession(t, program(t, APP), {
      FAULT: fault,
      EVERY: '1',
      READY: fault.endsWith('stop') ? '2000' : '30000',
    })
    const [master, sockets] = [app.master(), socketCount(app.master())]
    const clients = await crowd(t, app.port, 20)
    process.kill(master, 'SIGUSR2')
    await app.hears('not replaced')
    const before = clients.answered()
    await until('clients are answered', () => clients.answered() > before + 100)
    await clients.stop()
    const { workers } = await app.status()
    assert.deepEqual(
      workers.map(({ pid }) => pid),
      app.pids,
    )
    assert.equal(app.master(), master)
    await assertSockets(master, sockets, 'after a failed replacement')
    const children = readFileSync(`/proc/${master}/task/${master}/children`, 'utf8').trim().split(' ').map(Number)
    assert.deepEqual(children.sort(), [...app.pids].sort())
  })
}

for (const fault of [
  'old:send:2:after:die',
  'old:receive:1:before:die',
  'old:receive:1:after:die',
  'old:send:3:before:die',
  'old:send:3:after:die',
]) {
  test(`a master that is killed once it has told everything has a successor (${fault})`, async (t) => {
    const app = await succession(t, program(t, APP), { FAULT: fault, EVERY: '0' })
    const master = app.master()
    const clients = await crowd(t, app.port, 20)
    process.kill(master, 'SIGUSR2')
    await app.hears('serving', 2)
    assert.notEqual(app.master(), master)
    const before = clients.answered()
    await until('clients are answered', () => clients.answered() > before + 100)
    await clients.stop()
    const { workers } = await app.status()
    assert.deepEqual(
      workers.map(({ pid }) => pid),
      app.pids,
    )
    assert.ok(!isRunning(master))
  })
}
