import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import { PassThrough } from 'node:stream'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import { adopt, connectionKind, release } from '../../src/transport/connection.js'
import { Transport } from '../../src/transport/transport.js'
import { connection, ended } from '../support/connections.js'
import { noLeak } from '../support/descriptors.js'

async function refuses(socket: net.Socket, why: RegExp): Promise<void> {
  for (const flushTimeout of [0, 1000]) {
    await assert.rejects(async () => connectionKind.release(socket, { flushTimeout }), {
      code: 'ERR_HANDOVER_NOT_MOVABLE',
      message: why,
    })
  }
}

test('a TLS connection is refused, on both of its sockets', async (t) => {
  noLeak(t)
  const { socket } = await connection(t)
  const secure = ended(t, new tls.TLSSocket(socket, { isServer: true }))
  await refuses(secure, /TLS .* before the handshake, and route by server name$/)
  await refuses(socket, /TLS/)
})

test('a socket that an HTTP/2 session reads is refused', async (t) => {
  noLeak(t)
  const server = http2.createServer()
  const raw = once(server, 'connection')
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as net.AddressInfo
  const client = ended(t, net.connect(port, '127.0.0.1'))
  const session = http2.connect('http://127.0.0.1', { createConnection: () => client })
  t.after(() => new Promise((resolve) => server.close(resolve)))
  t.after(() => session.destroy())
  const [[socket]] = (await Promise.all([raw, once(session, 'remoteSettings')])) as [[net.Socket], unknown]
  await refuses(socket, /HTTP\/2/)
  await refuses(client, /HTTP\/2/)
})

test('a socket that decodes text is refused', async (t) => {
  noLeak(t)
  const { socket } = await connection(t)
  await refuses(socket.setEncoding('utf8'), /remove setEncoding, and decode yourself$/)
})

test('a socket that is still connecting, or closed, is refused', async (t) => {
  noLeak(t)
  const server = net.createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const connecting = ended(t, net.connect((server.address() as net.AddressInfo).port, '127.0.0.1'))
  await refuses(connecting, /wait for 'connect'$/)
  connecting.destroy()
  await refuses(connecting, /closed/)
  await refuses(new net.Socket(), /connect/)
})

test('a socket that is being piped, out or in, is refused, and no longer once it is not', async (t) => {
  noLeak(t)
  const { socket } = await connection(t)
  const stream = new PassThrough()
  socket.pipe(stream)
  await refuses(socket, /unpipe it first$/)
  socket.unpipe(stream)
  stream.pipe(socket)
  await refuses(socket, /unpipe it first$/)
  stream.unpipe(socket)
  const parcel = await connectionKind.release(socket, { flushTimeout: 0 })
  parcel.restored()
})

test('a connection that is on its way is not sent twice', async (t: TestContext) => {
  noLeak(t)
  const { socket } = await connection(t)
  const parcel = await connectionKind.release(socket, { flushTimeout: 0 })
  await refuses(socket, /on its way already/)
  parcel.restored()
  const transport = await release(socket)
  const away = await connectionKind.release(transport, { flushTimeout: 0 })
  await assert.rejects(async () => connectionKind.release(transport, { flushTimeout: 0 }), /on its way already/)
  assert.throws(() => adopt(transport), { code: 'ERR_HANDOVER_NOT_MOVABLE' })
  away.restored()
  transport.close()
  await assert.rejects(async () => connectionKind.release(transport, { flushTimeout: 0 }), /spent/)
  assert.ok(connectionKind.is(transport) && transport instanceof Transport)
})
