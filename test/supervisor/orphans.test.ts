/** A supervisor is killed: what its workers do, and that none of them holds the port. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { answerOrphan, listen } from '../../src/index.js'
import { connect } from '../support/client.js'
import { openDescriptors } from '../support/descriptors.js'
import { keepAlive } from '../support/keep-alive.js'
import { scratch } from '../support/paths.js'
import { program } from '../support/programs.js'
import { APP } from '../support/succession-clients.js'
import { isRunning, succession } from '../support/successions.js'
import { until } from '../support/wait.js'

/** Sockets of a process that listen for TCP. */
function listening(pid: number): string[] {
  const inodes = new Set(
    ['tcp', 'tcp6'].flatMap((name) =>
      readFileSync(`/proc/net/${name}`, 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter((fields) => fields[3] === '0A')
        .map((fields) => `socket:[${fields[9]}]`),
    ),
  )
  return [...openDescriptors(pid).values()].filter((target) => inodes.has(target))
}

test('no worker holds a port, and when the supervisor is killed nobody does', async (t) => {
  const app = await succession(t, program(t, APP), { ORPHANS: 'wait' })
  assert.equal(listening(app.master()).length, 1)
  for (const pid of app.pids) assert.deepEqual(listening(pid), [])
  const clients = await Promise.all([keepAlive(t, app.port), keepAlive(t, app.port)])
  for (const client of clients) await client.ask()
  process.kill(app.master(), 'SIGKILL')
  await until('nobody listens', async () => {
    const socket = await connect({ port: app.port }).catch((error: Error & { code?: string }) => error)
    if ('destroy' in socket) socket.destroy()
    return 'code' in socket && socket.code === 'ECONNREFUSED'
  })
  for (const client of clients) assert.ok(app.pids.includes(Number(await client.ask())))
})

test("by default workers whose supervisor was killed finish what is open, and end ('end')", async (t) => {
  const app = await succession(t, program(t, APP))
  const client = await keepAlive(t, app.port)
  await client.ask()
  process.kill(app.master(), 'SIGKILL')
  await until('the workers have ended', () => !app.pids.some(isRunning))
  assert.ok(client.ended)
})

test("workers serve what they have open until the next supervisor tells them to drain ('wait')", async (t) => {
  const control = join(scratch(t), 'control')
  const app = await succession(t, program(t, APP), { ORPHANS: 'wait', HANDOVER_CONTROL: control })
  const clients = await Promise.all([keepAlive(t, app.port), keepAlive(t, app.port)])
  for (const client of clients) await client.ask()
  process.kill(app.master(), 'SIGKILL')
  await until('it is gone', () => !isRunning(app.master()))
  for (const client of clients) assert.ok(app.pids.includes(Number(await client.ask())))
  const listener = await listen(control)
  t.after(() => listener.close())
  const told: unknown[] = []
  for await (const channel of listener) {
    const delivery = await channel.receive()
    if (told.length === 0) for (const client of clients) await client.ask()
    told.push(delivery?.message)
    const answer = answerOrphan(delivery?.message, 5_000)
    assert.deepEqual(answer, { type: 'drain', milliseconds: 5_000 })
    await channel.send(answer)
    if (told.length === 2) break
  }
  await until('the workers have ended', () => !app.pids.some(isRunning))
  const expected = app.pids.map((pid, index) => ({ type: 'orphan', worker: index + 1, generation: 1, pid, open: 1 }))
  const byWorker = (told as { worker: number }[]).sort((one, other) => one.worker - other.worker)
  assert.deepEqual(byWorker, expected)
})

test('what is no word of an orphan is answered by nobody', () => {
  for (const word of [
    null,
    1,
    {},
    { type: 'orphan' },
    { type: 'orphan', worker: 1, generation: 1, pid: -1, open: 0 },
  ]) {
    assert.equal(answerOrphan(word, 1), null)
  }
})
