import assert from 'node:assert/strict'
import { once } from 'node:events'
import type net from 'node:net'
import test from 'node:test'
import { inspect } from 'node:util'
import { adopt, connectionKind, release } from '../../src/transport/connection.js'
import { Transport } from '../../src/transport/transport.js'
import { collect, connection, ended } from '../support/connections.js'
import { hasIpv6 } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'
import { handOver } from '../support/parcels.js'
import { until } from '../support/wait.js'

test('release takes a connection out of Node, with what was read of it, and adopt brings it back in', async (t) => {
  noLeak(t)
  for (const over of ['IPv4', 'UNIX', ...(hasIpv6 ? (['IPv6'] as const) : [])] as const) {
    const { client, socket } = await connection(t, over)
    const heard = collect(client)
    client.write('read before')
    await until('bytes are read', () => socket.readableLength === 11)
    const closed = once(socket, 'close')
    const transport = await release(socket)
    await closed
    assert.equal(transport.kind, over === 'UNIX' ? 'unix' : 'tcp')
    assert.equal(transport.unread.toString(), 'read before')
    assert.match(inspect(transport), /^Transport \{ kind: '\w+', fd: \d+, unread: 11 bytes \}$/)
    const { remotePort: port, remoteFamily: family, remoteAddress: address } = client
    if (over !== 'UNIX') assert.deepEqual(transport.local, { family, address, port })
    else assert.equal(transport.local?.family, 'unix')
    client.write(' and after')
    const adopted = ended(t, adopt(transport))
    assert.equal(transport.fd, -1)
    assert.equal(transport.local, null)
    const there = collect(adopted)
    await until('both', () => there.text() === 'read before and after')
    adopted.end('answer')
    await until('the answer', () => heard.ended)
    assert.equal(heard.text(), 'answer')
    assert.throws(() => adopt(transport), { code: 'ERR_HANDOVER_CLOSED' })
  }
})

test('a Transport arrives as a Transport, with its bytes', async (t) => {
  noLeak(t)
  const { client, socket } = await connection(t)
  client.write('first')
  await until('bytes are read', () => socket.readableLength === 5)
  const transport = await release(socket)
  const arrived = (await handOver(connectionKind, transport)) as Transport
  assert.equal(transport.fd, -1)
  assert.ok(arrived instanceof Transport)
  assert.equal(arrived.unread.toString(), 'first')
  const heard = collect(ended(t, arrived.adopt()))
  client.write(' second')
  await until('all', () => heard.text() === 'first second')
})

test('a Transport closes its descriptor once, also one that is on its way', async (t) => {
  noLeak(t)
  const { client, socket } = await connection(t)
  const heard = collect(client)
  {
    const transport = await release(socket)
    transport.close()
    transport.close()
    transport[Symbol.dispose]()
  }
  await until('the end', () => heard.ended)
  const other = await connection(t)
  const still = collect(other.client)
  const transport = await release(other.socket)
  const arrives = connectionKind.release(transport, { flushTimeout: 0 })
  transport.close()
  const parcel = await arrives
  assert.equal(still.ended, false)
  parcel.restored()
  await until('the end', () => still.ended)
})

test('a socket that cannot leave stays as it is', async (t) => {
  noLeak(t)
  const { client, socket } = await connection(t)
  socket.write(Buffer.alloc(8_000_000))
  await assert.rejects(release(socket, { flushTimeout: 0 }), { code: 'ERR_HANDOVER_NOT_MOVABLE' })
  await assert.rejects(release({} as net.Socket), { name: 'TypeError' })
  await assert.rejects(release(socket, { flushTimeout: -1 }), { name: 'RangeError' })
  let bytes = 0
  client.on('data', (chunk) => {
    bytes += chunk.length
  })
  await until('all of it', () => bytes === 8_000_000)
})
