/** The status tells of all connections there ever were, and of clients for whom no worker has room. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { listenQueue } from '../../src/transport/listen-queue.js'
import { get } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { allAccept } from '../support/distributed.js'
import { fixture } from '../support/paths.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const script = fixture('http-pid.mjs')
const linux = { skip: process.platform !== 'linux' }

test(
  'clients beyond maxConnections are told as those in the queue of the kernel, as long as they wait',
  linux,
  async (t) => {
    noLeak(t)
    const app = await supervise(t, { script, workers: 1, maxConnections: 1 })
    const queued = (): number | null => app.supervisor.status().listenQueue
    await until('nobody waits', () => queued() === 0)
    const clients: net.Socket[] = []
    t.after(() => {
      for (const client of clients) client.destroy()
    })
    for (let i = 0; i < 4; i++) {
      const client = net.connect(app.port, '127.0.0.1')
      clients.push(client)
      await once(client, 'connect')
      await until('it is told', () => queued() === i)
    }
    assert.equal(app.supervisor.status().waiting, 0)
    for (const client of clients) client.destroy()
    await until('nobody waits any more', () => queued() === 0)
  },
)

test('of what is no TCP socket that listens nothing is known', async (t) => {
  const server = net.createServer().listen({ path: `\0handover-test-${process.pid}` })
  t.after(() => server.close())
  await once(server, 'listening')
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle
  assert.deepEqual([listenQueue(fd), listenQueue(-1), listenQueue(0)], [null, null, null])
})

for (const distribution of ['share', 'reuseport'] as const) {
  test(`what workers took by themselves is counted, the dead ones' too (${distribution})`, async (t) => {
    noLeak(t)
    const app = await supervise(t, { script, workers: 2, distribution })
    await allAccept(app)
    const all = (): number => {
      const { accepted, dispatched } = app.supervisor.status()
      return accepted + dispatched
    }
    const ask = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) assert.equal((await get({ port: app.port })).status, 200)
    }
    await ask()
    await until('they are told', () => all() === 5)
    const [victim = 0] = app.pids()
    const ended = once(app.supervisor, 'ended')
    process.kill(victim, 'SIGKILL')
    await ended
    await until('another is there', () => app.supervisor.status().workers.every(({ ready }) => ready))
    assert.equal(all(), 5)
    await ask()
    await until('the next are told', () => all() === 10)
  })
}
