/** Listening ports go from process to process while clients connect all the time. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, existsSync, statSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type Channel, ListeningPort, share } from '../../src/index.js'
import type { Where } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { type Keeper, keeper } from '../support/keepers.js'
import { scratch } from '../support/paths.js'
import { soon } from '../support/peers.js'
import { until } from '../support/wait.js'

/** Clients that connect again and again, and count who answers them. */
class Clients {
  readonly failures: string[] = []
  readonly answers = new Map<number, number>()
  readonly #running: Promise<void>[] = []
  #stopped = false

  constructor(t: TestContext, where: Where, width = 10) {
    t.after(() => {
      this.#stopped = true
    })
    const lane = async (): Promise<void> => {
      while (!this.#stopped) {
        await this.#once(where).catch((error) => this.failures.push(String(error)))
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    for (let i = 0; i < width; i++) this.#running.push(lane())
  }

  #once(where: Where): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = 'path' in where ? net.connect(where.path) : net.connect(where.port, where.host ?? '127.0.0.1')
      let text = ''
      socket.setTimeout(8_000, () => socket.destroy(new Error('no answer')))
      socket.on('data', (bytes: Buffer) => {
        text += bytes
      })
      socket.on('error', reject).on('close', () => {
        if (!/^\d+\n$/.test(text)) return reject(new Error(`an answer "${text}"`))
        this.answers.set(Number(text), this.of(Number(text)) + 1)
        resolve()
      })
    })
  }

  of(pid: number): number {
    return this.answers.get(pid) ?? 0
  }

  /** Waits until a process has answered more of them. */
  async served(pid: number): Promise<void> {
    const before = this.of(pid)
    await until(`${pid} answers`, () => this.of(pid) > before + 20).catch((error) =>
      assert.deepEqual(this.failures, [], String(error)),
    )
  }

  async end(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#running)
    assert.deepEqual(this.failures, [])
  }
}

const welcome = (socket: net.Socket): void => {
  socket.on('error', () => {})
  socket.end(`${process.pid}\n`)
}

function file(path: string): [inode: bigint, mode: bigint] {
  const { ino, mode } = statSync(path, { bigint: true })
  return [ino, mode & 0o777n]
}

async function take<Thing>(channel: Channel): Promise<Thing> {
  const delivery = await soon(channel.receive())
  return delivery?.things[0] as Thing
}

/** A server of this process's own, on a port of either kind. */
async function opened(t: TestContext, kind: 'TCP' | 'UNIX', by: 'server' | 'port'): Promise<[net.Server, Where]> {
  const path = join(scratch(t), 'port')
  const server = net.createServer(welcome)
  if (by === 'port') {
    ListeningPort.open(kind === 'UNIX' ? { path, mode: 0o640 } : { host: '127.0.0.1', port: 0 }).listen(server)
  } else {
    await once(server.listen(kind === 'UNIX' ? { path } : { host: '127.0.0.1', port: 0 }), 'listening')
    if (kind === 'UNIX') chmodSync(path, 0o640)
  }
  const address = server.address() as net.AddressInfo | string
  return [server, typeof address === 'string' ? { path } : { port: address.port }]
}

for (const kind of ['TCP', 'UNIX'] as const) {
  for (const by of ['server', 'port'] as const) {
    test(`a port is handed over and comes back, again and again, and no client is refused: ${kind}, ${by}`, async (t) => {
      noLeak(t)
      const peers = [await keeper(t), await keeper(t)] as const
      let [server, where] = await opened(t, kind, by)
      t.after(() => server.close())
      const path = 'path' in where ? where.path : null
      const was = path === null ? null : file(path)
      const clients = new Clients(t, where)
      await clients.served(process.pid)
      for (let round = 0; round < 6; round++) {
        const peer = peers[round % 2] as Keeper
        peer.order({ take: { use: 'accept' } })
        await soon(peer.channel.send('yours', [server]))
        assert.equal(server.listening, false)
        await clients.served(peer.pid)
        if (path !== null) assert.deepEqual(file(path), was)
        peer.order({ give: {} })
        server = await take<net.Server>(peer.channel)
        server.on('connection', welcome)
        await clients.served(process.pid)
        if (path !== null) assert.deepEqual(file(path), was)
      }
      await clients.end()
      server.close()
      if (path !== null) assert.equal(existsSync(path), false, 'it goes with its last owner')
      for (const { child, ended, order } of peers) {
        order({ leave: null })
        assert.equal(await soon(ended), 0, String(child.pid))
      }
    })
  }

  test(`a shared port is served by all who have it, until the last has gone: ${kind}`, async (t) => {
    noLeak(t)
    const peers = [await keeper(t), await keeper(t)] as const
    const [server, where] = await opened(t, kind, 'server')
    const path = 'path' in where ? where.path : null
    const was = path === null ? null : file(path)
    const clients = new Clients(t, where, 20)
    for (const peer of peers) {
      peer.order({ take: { use: 'accept' } })
      await soon(peer.channel.send('ours', [share(server)]))
      await peer.hears('took')
    }
    await Promise.all(peers.map(({ pid }) => clients.served(pid)))
    server.close()
    await clients.served(peers[0].pid)
    if (path !== null) assert.deepEqual(file(path), was, 'the first who leaves leaves it')
    peers[0].order({ leave: null })
    assert.equal(await soon(peers[0].ended), 0)
    await clients.served(peers[1].pid)
    if (path !== null) assert.deepEqual(file(path), was, 'the second leaves it')
    await clients.end()
    peers[1].order({ leave: null })
    assert.equal(await soon(peers[1].ended), 0)
    if (path !== null) assert.equal(existsSync(path), false, 'the last takes it along')
  })
}

for (const by of ['server', 'port'] as const) {
  for (const shared of [false, true]) {
    for (const end of ['leave', 'exit', 'SIGTERM', 'SIGKILL'] as const) {
      const title = `${shared ? 'shared' : 'handed over'}, ${by}, ${end}`
      test(`however the first owner of a path ends, the path stays with the other: ${title}`, async (t) => {
        noLeak(t)
        const path = join(scratch(t), 'port')
        const peer = await keeper(t)
        peer.order({ listen: { path, mode: 0o620, by } })
        await peer.hears('listening')
        const was = file(path)
        assert.equal(was[1], 0o620n)
        const clients = new Clients(t, { path }, 5)
        await clients.served(peer.pid)
        peer.order({ give: { keep: shared } })
        const server = await take<net.Server>(peer.channel)
        t.after(() => server.close())
        server.on('connection', welcome)
        await peer.hears('gave')
        if (!shared) await clients.served(process.pid)
        else await clients.end() // who is killed with a client in its hands loses that one
        if (end === 'leave' || end === 'exit') peer.order({ [end]: 0 })
        else process.kill(peer.pid, end)
        await soon(peer.ended)
        assert.deepEqual(file(path), was)
        const later = shared ? new Clients(t, { path }, 5) : clients
        await later.served(process.pid)
        await later.end()
        assert.deepEqual(file(path), was)
        server.close()
        assert.equal(existsSync(path), false, 'it goes with its last owner')
      })
    }
  }
}
