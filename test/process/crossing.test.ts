/** Two processes give each other connections at once; and the one that gave them dies. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type net from 'node:net'
import test, { type TestContext } from 'node:test'
import { connection, ended, type Over } from '../support/connections.js'
import { assertSockets, noLeak, socketCount } from '../support/descriptors.js'
import { type Keeper, keeper } from '../support/keepers.js'
import { soon } from '../support/peers.js'
import { until } from '../support/wait.js'

const WAYS: Over[] = ['IPv4', 'UNIX']

/** Takes all that comes, and keeps it. */
async function collect(t: TestContext, peer: Keeper, kept: net.Socket[][]): Promise<void> {
  for await (const { things } of peer.channel) {
    for (const thing of things) ended(t, thing as net.Socket)
    kept.push(things as net.Socket[])
  }
}

test('two processes that send each other all they have, more than the windows hold, do not wait for each other', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const [here, there] = [socketCount(), socketCount(peer.pid)]
  const count = 400
  const clients: net.Socket[] = []
  let kept: net.Socket[][] = []
  for (let i = 0; i < count; i++) {
    const { client, socket } = await connection(t, WAYS[i % WAYS.length] as Over)
    clients.push(client)
    kept.push([socket])
  }
  collect(t, peer, kept).catch(() => {})
  peer.order({ take: { count: 1_000_000 } })
  const first = kept.splice(0, count / 2) // one half starts there
  await soon(Promise.all(first.map((row) => peer.channel.send('there', row))))
  await peer.hears('took', count / 2)
  for (let round = 1; round <= 8; round++) {
    const rows = kept.splice(0)
    peer.order({ give: {} })
    for (const client of clients) client.write(`${round},`)
    await soon(Promise.all(rows.map((row) => peer.channel.send('crossing', row))), `round ${round} here`)
    await peer.hears('gave', round)
  }
  assert.deepEqual(peer.said('kept'), [])
  peer.order({ give: {} }) // all that it has now
  await peer.hears('gave', 9)
  await until('all are here', () => kept.length === count)
  await assertSockets(peer.pid, there, 'nothing is left there')
  await assertSockets('self', here + 2 * count, 'nothing is missing here')
  const heard = new Map<net.Socket, string>()
  for (const socket of kept.flat()) {
    socket.on('data', (piece: Buffer) => heard.set(socket, (heard.get(socket) ?? '') + piece))
  }
  const all = '1,2,3,4,5,6,7,8,'
  await until('every byte', () => kept.flat().every((socket) => (heard.get(socket)?.length ?? 0) >= all.length))
  assert.ok([...heard.values()].every((text) => text === all))
  kept = []
})

test('the one who sent dies: what was taken is served here, what was not ends for its client', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const clients: net.Socket[] = []
  const closed: number[] = []
  peer.order({ take: { count: 20 } })
  for (let i = 0; i < 20; i++) {
    const { client, socket } = await connection(t, WAYS[i % WAYS.length] as Over)
    client.on('close', () => closed.push(i)).resume()
    clients.push(client)
    await soon(peer.channel.send(i, [socket]))
  }
  await peer.hears('took', 20)
  peer.order({ give: {} })
  await until('all wait here', () => peer.channel.waiting === 20)
  const taken: net.Socket[] = []
  for (let i = 0; i < 7; i++) taken.push(ended(t, (await soon(peer.channel.receive()))?.things[0] as net.Socket))
  await peer.kill()
  assert.equal(await soon(peer.channel.receive()), null, 'nothing more comes')
  await until('the others have ended', () => closed.length === 13)
  assert.deepEqual(
    closed.sort((a, b) => a - b),
    Array.from({ length: 13 }, (_, index) => 7 + index),
  )
  for (const [index, socket] of taken.entries()) {
    socket.on('data', (piece: Buffer) => socket.write(piece))
    clients[index]?.write(`hello ${index}`)
    assert.equal(String((await soon(once(clients[index] as net.Socket, 'data')))[0]), `hello ${index}`)
  }
})

for (const end of ['leave', 'exit', 'SIGTERM', 'SIGKILL'] as const) {
  test(`the end of the one who gave connections, right after, is nothing to them: ${end}`, async (t) => {
    noLeak(t)
    const peer = await keeper(t)
    const clients: net.Socket[] = []
    const ends: string[] = []
    peer.order({ take: { count: 10 } })
    for (let i = 0; i < 10; i++) {
      const { client, socket } = await connection(t, WAYS[i % WAYS.length] as Over)
      for (const event of ['end', 'error', 'close']) client.on(event, () => ends.push(`${i}: ${event}`))
      clients.push(client)
      await soon(peer.channel.send(i, [socket]))
    }
    await peer.hears('took', 10)
    peer.order({ give: {} })
    const taken: net.Socket[] = []
    for (let i = 0; i < 10; i++) taken.push(ended(t, (await soon(peer.channel.receive()))?.things[0] as net.Socket))
    if (end === 'leave' || end === 'exit') peer.order({ [end]: 0 })
    else process.kill(peer.pid, end)
    await soon(peer.ended)
    for (const [index, client] of clients.entries()) {
      taken[index]?.on('data', (piece: Buffer) => taken[index]?.write(piece))
      client.write(`hello ${index}`)
      assert.equal(String((await soon(once(client, 'data')))[0]), `hello ${index}`)
    }
    assert.deepEqual(ends, [])
  })
}
