import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import test, { type TestContext } from 'node:test'
import type { Parcel } from '../../src/channel/kinds.js'
import { connectionKind } from '../../src/transport/connection.js'
import { movableConnections } from '../../src/transport/http-connections.js'
import { connect } from '../support/client.js'
import { collect, ended } from '../support/connections.js'
import { noLeak } from '../support/descriptors.js'
import { arrivalOf } from '../support/parcels.js'
import { until } from '../support/wait.js'

const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

/** A server that answers with its name and the path, or holds the answer back; closed with the test. */
async function serving(t: TestContext, name: string): Promise<{ server: http.Server; held: http.ServerResponse[] }> {
  const held: http.ServerResponse[] = []
  const server = http.createServer((message, response) => {
    if (message.url === '/hold') held.push(response)
    else message.resume().on('end', () => response.end(`${name} ${message.url};`))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return { server, held }
}

async function clientOf(t: TestContext, server: http.Server): Promise<{ client: net.Socket; socket: net.Socket }> {
  const accepted = once(server, 'connection') as Promise<[net.Socket]>
  const client = ended(t, await connect({ port: (server.address() as net.AddressInfo).port }))
  return { client, socket: (await accepted)[0] }
}

const release = (socket: net.Socket): Parcel => connectionKind.release(socket, { flushTimeout: 0 }) as Parcel

test('a connection between two requests moves, and the other server answers the next', async (t) => {
  noLeak(t)
  const old = await serving(t, 'old')
  const next = await serving(t, 'next')
  const { client, socket } = await clientOf(t, old.server)
  const heard = collect(client)
  client.write(request('/1'))
  await until('the answer', () => heard.text().endsWith('old /1;\r\n0\r\n\r\n') || heard.text().endsWith('old /1;'))
  await until('it is free', () => movableConnections(old.server).length === 1)
  const parcel = release(socket)
  client.write(request('/2'))
  const arrived = arrivalOf(parcel)
  const closed = once(socket, 'close')
  parcel.claimed()
  await closed
  assert.equal(movableConnections(old.server).length, 0)
  const adopted = connectionKind.adopt(arrived) as net.Socket
  assert.equal(adopted.timeout ?? 0, 0, "the old server's limit between requests stays behind")
  next.server.emit('connection', ended(t, adopted))
  await until('the next answer', () => heard.text().includes('next /2;'))
  old.server.close()
  await once(old.server, 'close') // its books are in order: nothing is left to wait for
})

test('a connection that comes back is served on, with what came meanwhile', async (t) => {
  noLeak(t)
  const { server } = await serving(t, 'here')
  const { client, socket } = await clientOf(t, server)
  const heard = collect(client)
  for (const path of ['/silent', '/1', '/2']) {
    await until('it is free', () => movableConnections(server).length === 1)
    const parcel = release(socket)
    assert.deepEqual(movableConnections(server), [], 'it is away')
    client.write(request(path))
    parcel.restored()
    await until('the answer', () => heard.text().includes(`here ${path};`))
  }
})

test('a connection on which nothing came yet moves', async (t) => {
  noLeak(t)
  const old = await serving(t, 'old')
  const next = await serving(t, 'next')
  const { client, socket } = await clientOf(t, old.server)
  assert.deepEqual(movableConnections(old.server), [socket])
  const parcel = release(socket)
  const arrived = arrivalOf(parcel)
  parcel.claimed()
  next.server.emit('connection', ended(t, connectionKind.adopt(arrived) as net.Socket))
  const heard = collect(client)
  client.write(request('/first'))
  await until('the answer', () => heard.text().includes('next /first;'))
})

test('a request that is under way keeps its connection: its first bytes, its body, or its answer', async (t) => {
  noLeak(t)
  const refused = {
    code: 'ERR_HANDOVER_NOT_MOVABLE',
    message: /^an HTTP request is under way .* wait until it is answered/,
  }
  const { server, held } = await serving(t, 'here')
  const { client, socket } = await clientOf(t, server)
  const heard = collect(client)
  const busy = async (bytes: string): Promise<void> => {
    const before = socket.bytesRead
    client.write(bytes)
    await until('it is read', () => socket.bytesRead === before + bytes.length)
    assert.throws(() => release(socket), refused)
    assert.deepEqual(movableConnections(server), [])
  }
  await busy('G')
  await busy('ET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n')
  await busy('\r\nbo')
  client.write('dy')
  await until('the answer', () => heard.text().includes('here /1;'))
  await until('it is free', () => movableConnections(server).length === 1)
  await busy(request('/hold'))
  held[0]?.write('half of ')
  assert.throws(() => release(socket), refused)
  held[0]?.end('an answer')
  await until('it is free again', () => movableConnections(server).length === 1)
  await busy('POST')
})

test('a head that was given back and read by the server is a request under way', async (t) => {
  noLeak(t)
  const server = http.createServer((_, response) => response.end('fed'))
  server.emit('listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { server: front } = await serving(t, 'front')
  const { client, socket } = await clientOf(t, front)
  const parcel = release(socket)
  const arrived = { ...arrivalOf(parcel), bytes: Buffer.from('GET / HT') }
  parcel.claimed()
  const adopted = ended(t, connectionKind.adopt(arrived) as net.Socket)
  server.emit('connection', adopted)
  await until('the server has the bytes', () => adopted.readableLength === 0)
  assert.throws(() => release(adopted), { code: 'ERR_HANDOVER_NOT_MOVABLE' })
  assert.deepEqual(movableConnections(server), [])
  const heard = collect(client)
  client.write('TP/1.1\r\nHost: a\r\n\r\n')
  await until('the answer', () => heard.text().includes('fed'))
  await until('it is free', () => movableConnections(server).length === 1)
})

test('a server that does not track its connections cannot tell which are free', async (t) => {
  noLeak(t)
  const server = http.createServer((_, response) => response.end('fed'))
  const front = net.createServer()
  await once(front.listen(0, '127.0.0.1'), 'listening')
  t.after(() => front.close())
  const accepted = once(front, 'connection') as Promise<[net.Socket]>
  const client = ended(t, await connect({ port: (front.address() as net.AddressInfo).port }))
  const socket = ended(t, (await accepted)[0])
  server.emit('connection', socket)
  release(socket).restored() // nothing has come yet
  const heard = collect(client)
  client.write(request('/'))
  await until('the answer', () => heard.text().includes('fed'))
  assert.throws(() => release(socket), { code: 'ERR_HANDOVER_NOT_MOVABLE', message: /emit 'listening' on it/ })
  assert.throws(() => movableConnections(front as http.Server), { name: 'TypeError' })
})

test("an upgraded connection moves: it is the program's own", async (t) => {
  noLeak(t)
  const { server } = await serving(t, 'here')
  server.on('upgrade', (_, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'))
  const { client, socket } = await clientOf(t, server)
  const heard = collect(client)
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  await until('it is upgraded', () => heard.text().startsWith('HTTP/1.1 101'))
  const parcel = release(socket)
  const arrived = arrivalOf(parcel)
  parcel.claimed()
  const adopted = ended(t, connectionKind.adopt(arrived) as net.Socket)
  const there = collect(adopted)
  client.write('frames')
  await until('they arrive', () => there.text() === 'frames')
})
