/** HAProxy gives a machine as much of the load as it says it has room for, and none when it drains. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { AgentCheck } from '../../src/admin/index.js'
import type { Watched } from '../../src/admin/seen.js'
import { agentState } from '../../src/admin/weight.js'
import { ListeningPort } from '../../src/index.js'
import { noLeak } from '../support/descriptors.js'
import { fixture, scratch } from '../support/paths.js'
import { supervise } from '../support/supervised.js'
import { start, tool } from '../support/tools.js'
import { until } from '../support/wait.js'

const haproxy = tool('haproxy')

const idle = { state: 'ready', ready: true, draining: false, stalled: false, open: 0, queued: 0, unclaimed: 0 }
const worker = (more: object = {}) => ({ ...idle, limit: Number.POSITIVE_INFINITY, ...more })
const state = (...workers: object[]) => agentState({ workers } as Parameters<typeof agentState>[0])

test('with limits the weight is what is free of them', () => {
  assert.deepEqual(state(worker({ limit: 10 }), worker({ limit: 10, open: 3, queued: 1, unclaimed: 1 })), {
    state: 'up',
    weight: 75,
  })
  assert.deepEqual(state(worker({ limit: 10, open: 12 })), { state: 'up', weight: 1 }, 'never a drain')
  const restarting = worker({ limit: 10, state: 'starting', ready: false })
  assert.deepEqual(state(worker({ limit: 10 }), restarting), { state: 'up', weight: 50 })
})

test('without limits the weight is who is prompt, and how late they are', () => {
  assert.deepEqual(state(worker(), worker()), { state: 'up', weight: 100 })
  assert.deepEqual(state(worker(), worker({ stalled: true })), { state: 'up', weight: 50 })
  assert.deepEqual(state(worker({ lag: 100 }), worker({ lag: 0 })), { state: 'up', weight: 75 })
  assert.deepEqual(state(worker({ stalled: true })), { state: 'up', weight: 1 })
  assert.deepEqual(
    state(worker(), worker({ state: 'draining', draining: true })),
    { state: 'up', weight: 100 },
    'an old generation counts for nothing',
  )
})

test('all that drain are a drain, and none that is ready is down', () => {
  assert.deepEqual(state(worker({ state: 'draining', draining: true })), { state: 'drain' })
  assert.deepEqual(state(), { state: 'down' })
  assert.deepEqual(state(worker({ state: 'starting', ready: false })), { state: 'down' })
  assert.deepEqual(state(worker({ hung: true })), { state: 'down' })
})

test('ready is said for a minute from the start and from a drain on, and no longer', (t) => {
  let workers: object[] = [worker()]
  const now = t.mock.method(performance, 'now', () => 0)
  const at = (milliseconds: number) => now.mock.mockImplementation(() => milliseconds)
  const fake = Object.assign(new EventEmitter(), { status: () => ({ workers, generations: [] }) })
  const agent = new AgentCheck(fake as unknown as Watched, { port: 0 })
  assert.equal(agent.line(), 'ready up 100%')
  at(60_000)
  assert.equal(agent.line(), 'up 100%', 'an operator’s drain stays')
  workers = [worker({ state: 'draining', draining: true })]
  assert.equal(agent.line(), 'drain')
  workers = [worker()]
  at(119_999)
  assert.equal(agent.line(), 'ready up 100%')
  at(120_000)
  assert.equal(agent.line(), 'up 100%')
})

test('a client that says something hears the line, too', async (t) => {
  noLeak(t)
  const { supervisor } = await supervise(t, { script: fixture('http-pid.mjs'), heartbeat: false }) // lag would be weight
  const agent = new AgentCheck(supervisor, { port: 0 })
  t.after(() => agent.stop())
  const { port } = await agent.start()
  const client = net.connect(port, '127.0.0.1').setEncoding('utf8')
  client.write('agent-send\n')
  let said = ''
  client.on('data', (text: string) => {
    said += text
  })
  await once(client, 'close')
  assert.equal(said, 'ready up 100%\n')
  await assert.rejects(new AgentCheck(supervisor, { port }).start(), { code: 'EADDRINUSE' })
  assert.throws(() => new AgentCheck(supervisor, { host: 'example.org', port: 0 }), /host: a numeric address/)
})

/** What HAProxy makes of its server: the status it shows, and the weight. */
async function shown(path: string): Promise<[status: string, weight: number]> {
  const client = net.connect(path).setEncoding('utf8')
  client.end('show stat\n')
  let text = ''
  for await (const part of client) text += part
  const [head = '', ...rows] = text.split('\n').map((line) => line.split(','))
  const row = rows.find(([proxy, server]) => proxy === 'app' && server === 'one') ?? []
  const field = (name: string): string => row[(head as string[]).indexOf(name)] ?? ''
  return [field('status'), Number(field('weight'))]
}

async function balancer(t: TestContext, served: number, agent: number): Promise<string> {
  const folder = scratch(t)
  const front = ListeningPort.open({ host: '127.0.0.1', port: 0 }) // inherited, so that nobody else can have it
  t.after(() => void front.close())
  const socket = join(folder, 'stats')
  const file = join(folder, 'haproxy.cfg')
  const server = `server one 127.0.0.1:${served} weight 100 check inter 200ms agent-check agent-port ${agent} agent-inter 100ms`
  writeFileSync(
    file,
    `global\n  stats socket ${socket}\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n` +
      `listen app\n  bind fd@3\n  ${server}\n`,
  )
  const proxy = start(t, haproxy, ['-db', '-f', file], { descriptors: [front.fd] })
  await until('HAProxy answers', () =>
    shown(socket).then(
      () => true,
      () => false,
    ),
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${proxy.said()}`)
  })
  return socket
}

test('HAProxy follows the weight, the drain and the way back', haproxy, async (t) => {
  noLeak(t)
  const app = await supervise(t, { script: fixture('net-echo.mjs'), workers: 2, maxConnections: 5 })
  const agent = new AgentCheck(app.supervisor, { port: 0 })
  t.after(() => agent.stop())
  const socket = await balancer(t, app.port, (await agent.start()).port)
  const shows = (status: RegExp, weight: number) =>
    until(`HAProxy shows ${status} ${weight}`, async () => {
      const [is, has] = await shown(socket)
      return status.test(is) && has === weight
    }).catch(async (error: Error) => {
      throw new Error(`${error.message}, but ${await shown(socket)}, of ${agent.line()}`)
    })
  await shows(/^UP/, 100)
  const clients = Array.from({ length: 4 }, () => net.connect(app.port, '127.0.0.1').on('error', () => {}))
  t.after(() => clients.forEach((client) => void client.destroy()))
  await shows(/^UP/, 60)
  clients.slice(0, 2).forEach((client) => void client.destroy())
  await shows(/^UP/, 80)
  clients[2]?.write('kept')
  const stopping = app.supervisor.stop(30_000)
  await shows(/DRAIN|DOWN/, 80)
  assert.match(agent.line(), /drain/)
  clients.forEach((client) => void client.destroy())
  await stopping
  await shows(/DOWN/, 80)
})
