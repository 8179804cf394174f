/** Each step of a hand-over is published, one message for a batch, and nothing is made for nobody. */
import assert from 'node:assert/strict'
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { diagnostics } from '../../src/diagnostics.js'
import { firstLine, refuse, share } from '../../src/index.js'
import { askAt } from '../support/admin.js'
import { noLeak } from '../support/descriptors.js'
import { fixture, root } from '../support/paths.js'
import { allClosed, closed, program, said } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { channelPair } from '../support/things.js'
import { until } from '../support/wait.js'

interface Step {
  pid?: number
  port?: number
  connections?: number
  descriptors?: number
  reason?: string
}

/** Collects what is published until the test ends. */
function heard(t: TestContext, name: string): Step[] {
  const steps: Step[] = []
  const listener = (message: unknown): void => void steps.push(message as Step)
  subscribe(name, listener)
  t.after(() => void unsubscribe(name, listener))
  return steps
}

const sum = (steps: readonly Step[]): number => steps.reduce((total, { connections = 0 }) => total + connections, 0)

test('what is sent is claimed, and adopted by the worker it was sent to', async (t) => {
  noLeak(t)
  const script = program(
    t,
    `import { subscribe } from 'node:diagnostics_channel'
    import http from 'node:http'
    subscribe('handover:adopt', (message) => say('adopt', message))
    http.createServer((_, response) => response.end()).listen(0, '127.0.0.1')`,
  )
  const app = await supervise(t, { script, workers: 2 })
  const [sent, claimed] = [heard(t, 'handover:send'), heard(t, 'handover:claim')]
  for (let i = 0; i < 12; i++) await askAt(app.port, '/')
  await allClosed(app.supervisor)
  await until('all adoptions are told', () => sum(said<Step>(app, 'adopt')) === 12)
  assert.deepEqual([sum(sent), sum(claimed)], [12, 12])
  assert.deepEqual([...new Set(sent.map(({ pid }) => pid))].sort(), app.pids().sort())
  assert.ok(sent.every(({ port }) => port === said<Step>(app, 'adopt')[0]?.port))
})

test('what a dead worker had not claimed is returned, and sent to another', async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: fixture('http-pid.mjs'), workers: 2, policy: 'round-robin' })
  const [victim] = app.pids() as [number]
  process.kill(victim, 'SIGSTOP')
  const [sent, returned] = [heard(t, 'handover:send'), heard(t, 'handover:return')]
  const answers = Array.from({ length: 8 }, () => askAt(app.port, '/'))
  await until('the stopped worker was sent some', () => sent.some(({ pid }) => pid === victim))
  const lost = sum(sent.filter(({ pid }) => pid === victim))
  process.kill(victim, 'SIGKILL')
  for (const { status } of await Promise.all(answers)) assert.equal(status, 200)
  assert.ok(sum(returned) >= lost && returned.every(({ pid }) => pid === victim), JSON.stringify(returned))
  await allClosed(app.supervisor)
})

test('who is turned away is a drop', async (t) => {
  noLeak(t)
  const inspect = firstLine({ routes: { hello: refuse('no\n') } })
  const app = await supervise(t, { script: fixture('net-echo.mjs'), handshake: { inspect } })
  const drops = heard(t, 'handover:drop')
  const client = net.connect(app.port, '127.0.0.1').resume()
  client.write('hello\n')
  await closed(client)
  await until('it is told', () => drops.length > 0)
  assert.deepEqual(drops, [{ connections: 1, reason: 'turned away' }])
})

test('an offer is told once it went, with how many descriptors', async (t) => {
  const [left, right] = await channelPair(t)
  const offers = heard(t, 'handover:offer')
  const sending = left.send('two', [share(0), share(1)])
  const { things = [] } = (await right.receive()) ?? {}
  await sending
  for (const thing of things as { close(): void }[]) thing.close()
  assert.deepEqual(offers, [{ pid: process.pid, descriptors: 2 }])
})

test('the names and fields are those of the documents', () => {
  const docs = readFileSync(join(root, 'docs/admin.md'), 'utf8')
  const rows = [...docs.matchAll(/^\| `(handover:\w+)` /gm)].map(([, name]) => name)
  assert.deepEqual(
    rows,
    Object.values(diagnostics).map(({ name }) => name),
  )
  for (const [word, one] of Object.entries(diagnostics)) assert.equal(one, channel(`handover:${word}`))
})
