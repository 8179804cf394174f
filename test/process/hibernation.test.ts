/** Connections sleep in another process, as Transports: nothing there reads them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type net from 'node:net'
import test, { type TestContext } from 'node:test'
import { release, Transport } from '../../src/index.js'
import { descriptorOfSocket } from '../../src/runtime/node-sockets.js'
import { identify, sameIdentity } from '../../src/syscalls/identity.js'
import { connection, ended, type Over } from '../support/connections.js'
import { hasIpv6 } from '../support/control.js'
import { assertSockets, noLeak, socketCount } from '../support/descriptors.js'
import { type Keeper, keeper, type Took } from '../support/keepers.js'
import { fault, numbered } from '../support/numbered.js'
import { soon } from '../support/peers.js'
import { until } from '../support/wait.js'

const WAYS: Over[] = ['IPv4', 'UNIX', hasIpv6 ? 'IPv6' : 'UNIX']
/** Bytes that were read and delivered to nobody. */
const UNREAD = [0, 1, 1_000, 16_384, 70_000, 1_000_000]

interface Sleeper {
  client: net.Socket
  /** Bytes its client has written. */
  written: number
  id: string
  transport: Transport
}

const stream = (one: Sleeper, all: Sleeper[]): number => all.indexOf(one) + 1

function write(one: Sleeper, all: Sleeper[], count: number): void {
  for (let left = count; left > 0; left -= 50_000) {
    const piece = Math.min(left, 50_000)
    one.client.write(numbered(stream(one, all), one.written, piece))
    one.written += piece
  }
}

/** Connections out of use here, each with bytes that were read and not delivered. */
async function asleep(t: TestContext): Promise<Sleeper[]> {
  const all: Sleeper[] = []
  for (const [index, unread] of UNREAD.entries()) {
    const { client, socket } = await connection(t, WAYS[index % WAYS.length] as Over, { allowHalfOpen: true })
    const one = { client, written: 0, id: identify(descriptorOfSocket(socket)) } as Sleeper
    all.push(one)
    write(one, all, unread)
    const parts: Buffer[] = []
    for (let left = unread; left > 0; ) {
      const part = socket.read() as Buffer | null
      if (part === null) await once(socket, 'readable')
      else left -= parts.push(part) && part.length
    }
    socket.unshift(Buffer.concat(parts)) // whoever looked at it gives it back
    one.transport = await release(socket)
    assert.equal(one.transport.unread.length, unread)
  }
  return all
}

async function lieDown(peer: Keeper, all: Sleeper[], count: number): Promise<void> {
  peer.order({ take: {} })
  await soon(
    peer.channel.send(
      'sleep',
      all.map(({ transport }) => transport),
    ),
  )
  const { things } = await peer.hears<Took>('took', count)
  for (const [index, { kind, id }] of things.entries()) {
    assert.equal(kind, 'Transport')
    assert.ok(sameIdentity(all[index]?.id as string, id), `${id} is ${all[index]?.id}`)
  }
  for (const { transport } of all) assert.equal(transport.fd, -1)
}

async function wakeUp(peer: Keeper, all: Sleeper[]): Promise<void> {
  peer.order({ give: { message: 'wake' } })
  const delivery = await soon(peer.channel.receive())
  assert.equal(delivery?.message, 'wake')
  for (const [index, thing] of delivery.things.entries()) {
    assert.ok(thing instanceof Transport)
    ;(all[index] as Sleeper).transport = thing
  }
}

test('connections sleep in other processes and wake: first what was read before, then what came meanwhile', async (t) => {
  noLeak(t)
  const holders = [await keeper(t), await keeper(t)] as const
  const before = holders.map(({ pid }) => socketCount(pid))
  const all = await asleep(t)
  for (let round = 0; round < 4; round++) {
    const index = round % 2
    const holder = holders[index] as Keeper
    const here = socketCount()
    await lieDown(holder, all, Math.floor(round / 2) + 1)
    await assertSockets('self', here - all.length, 'asleep')
    await assertSockets(holder.pid, (before[index] as number) + all.length, 'asleep')
    for (const one of all) write(one, all, 3_333) // while nobody reads
    await wakeUp(holder, all)
    await assertSockets(holder.pid, before[index] as number, 'awake')
    for (const [at, { transport }] of all.entries()) assert.equal(transport.unread.length, UNREAD[at])
  }
  const heard = all.map(() => 0)
  for (const [at, one] of all.entries()) {
    const socket = ended(t, one.transport.adopt())
    assert.equal(identify(descriptorOfSocket(socket)), one.id)
    socket.on('data', (piece: Buffer) => {
      assert.equal(fault(stream(one, all), heard[at] as number, piece), null)
      heard[at] = (heard[at] as number) + piece.length
    })
    write(one, all, 100)
    socket.write(`awake ${at}`)
    assert.equal(String((await soon(once(one.client, 'data')))[0]), `awake ${at}`)
  }
  await until('all is there', () => all.every(({ written }, at) => heard[at] === written))
})

test('a client that ends or resets its connection while it sleeps is known when it wakes, behind its bytes', async (t) => {
  noLeak(t)
  const holder = await keeper(t)
  const all = await asleep(t)
  await lieDown(holder, all, 1)
  for (const [at, one] of all.entries()) {
    write(one, all, 500)
    if (at % 3 === 0) await new Promise<void>((resolve) => one.client.end(resolve))
    else if (at % 3 === 1) await once(one.client.destroy(), 'close')
  }
  await wakeUp(holder, all)
  for (const [at, one] of all.entries()) {
    const socket = ended(t, one.transport.adopt())
    let heard = 0
    let end = false
    socket.on('data', (piece: Buffer) => {
      assert.equal(fault(stream(one, all), heard, piece), null)
      heard += piece.length
    })
    socket.on('end', () => {
      end = true
    })
    await until(`all that was written is there: ${at}`, () => heard === one.written)
    if (at % 3 < 2) await until(`its end is known: ${at}`, () => end)
    else assert.equal(end, false)
  }
})

test('a holder that dies ends the connections that sleep in it', async (t) => {
  noLeak(t)
  const holder = await keeper(t)
  const all = await asleep(t)
  const over = all.map(({ client }) => once(client.on('error', () => {}).resume(), 'close').then(() => true))
  for (const { client } of all) client.on('end', () => client.end())
  await lieDown(holder, all, 1)
  await holder.kill()
  await soon(Promise.all(over), 'the clients see the end')
})
