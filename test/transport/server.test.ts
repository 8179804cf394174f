import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import { Descriptor } from '../../src/sendmsg/index.js'
import { close, dup } from '../../src/syscalls/descriptor.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { portKind } from '../../src/transport/port.js'
import { serverKind } from '../../src/transport/server.js'
import { connect, get } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { arrivalOf, handCopy, handOver } from '../support/parcels.js'
import { scratch } from '../support/paths.js'
import { until } from '../support/wait.js'

const local = { host: '127.0.0.1', port: 0 }

/** A server that listens, closed with the test. */
async function listening<Server extends net.Server>(
  t: TestContext,
  server: Server,
  where: net.ListenOptions = local,
): Promise<Server> {
  await once(server.listen(where), 'listening')
  return closing(t, server)
}

function closing<Server extends net.Server>(t: TestContext, server: Server): Server {
  t.after(() => server.close())
  return server
}

const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port

/** A client that was accepted, and one byte of which server. */
async function served(where: { port: number } | { path: string }): Promise<string> {
  const client = await connect(where)
  const [byte] = (await once(client, 'data')) as [Buffer]
  client.destroy()
  return byte.toString()
}

const answering = (name: string): net.Server => net.createServer((socket) => socket.on('error', () => {}).end(name))

test('a net server arrives listening at the same place, and the one that was sent accepts no more', async (t) => {
  noLeak(t)
  const server = await listening(t, answering('old'))
  const place = server.address()
  const adopted = closing(t, (await handOver(serverKind, server)) as net.Server)
  await once(server, 'close')
  assert.equal(server.listening, false)
  assert.ok(adopted instanceof net.Server && adopted.listening)
  assert.deepEqual(adopted.address(), place)
  adopted.on('connection', (socket) => socket.end('new'))
  assert.equal(await served({ port: portOf(adopted) }), 'new')
})

test('an http server arrives as one, with its limits of time at work', async (t) => {
  noLeak(t)
  const server = await listening(t, http.createServer())
  const adopted = closing(t, (await handOver(serverKind, server)) as http.Server)
  assert.ok(adopted instanceof http.Server)
  adopted.on('request', (_, response) => response.end('new'))
  adopted.keepAliveTimeout = 1
  const { body } = await get({ port: portOf(adopted) })
  assert.equal(body, 'new')
  const client = await connect({ port: portOf(adopted) })
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(client, 'data')
  adopted.closeIdleConnections()
  await once(client.resume(), 'close')
})

test('a server with certificates or HTTP/2 arrives as the port it listens at', async (t) => {
  noLeak(t)
  for (const server of [tls.createServer(), https.createServer(), http2.createServer(), http2.createSecureServer()]) {
    await listening(t, server)
    const { port } = server.address() as net.AddressInfo
    const arrived = (await handOver(serverKind, server)) as unknown as ListeningPort
    t.after(() => arrived.close())
    assert.ok(arrived instanceof ListeningPort)
    closing(t, arrived.listen(answering('next')))
    assert.equal(arrived.fd, -1)
    assert.equal(await served({ port }), 'next')
  }
})

test('connections that were accepted stay when their server goes; it closes when the last of them has ended', async (t) => {
  noLeak(t)
  for (const make of [() => net.createServer(), () => http.createServer()]) {
    const server = await listening(t, make())
    const accepted = once(server, 'connection') as Promise<[net.Socket]>
    const client = await connect({ port: portOf(server) })
    const [socket] = await accepted
    let closed = false
    server.on('close', () => {
      closed = true
    })
    closing(t, (await handOver(serverKind, server)) as net.Server)
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(closed, false)
    assert.equal(socket.destroyed, false)
    socket.end('served to the end')
    client.resume().end()
    await until('the server closes', () => closed)
  }
})

test('clients that come while a server is on its way are served by one side or the other', async (t) => {
  noLeak(t)
  for (const settled of ['claimed', 'restored'] as const) {
    const server = await listening(t, answering('old'))
    const port = portOf(server)
    const parcel = await serverKind.release(server, { flushTimeout: 0 })
    const early = served({ port })
    const arrived = arrivalOf(parcel)
    const late = Array.from({ length: 20 }, () => served({ port }))
    parcel[settled]()
    if (settled === 'restored') for (const descriptor of arrived.descriptors) close(descriptor)
    else closing(t, serverKind.adopt(arrived) as net.Server).on('connection', (socket) => socket.end('new'))
    for (const answer of await Promise.all([early, ...late])) assert.match(answer, /^(old|new)$/)
    assert.equal(await served({ port }), settled === 'restored' ? 'old' : 'new')
  }
})

test('a server that is closed on its way arrives all the same, and a shared one serves on both sides', async (t) => {
  noLeak(t)
  const server = await listening(t, answering('old'))
  const port = portOf(server)
  const copy = closing(t, (await handCopy(serverKind, server)) as net.Server)
  copy.on('connection', (socket) => socket.end('new'))
  const answers = new Set<string>()
  await until('both answer', async () => answers.add(await served({ port })).size === 2)
  const parcel = await serverKind.release(server, { flushTimeout: 0 })
  assert.throws(() => serverKind.release(server, { flushTimeout: 0 }), /on its way already/)
  server.close()
  parcel.claimed()
  assert.equal(await served({ port }), 'new')
})

test('a server that does not listen is refused', async (t) => {
  noLeak(t)
  const server = net.createServer()
  const refusal = { code: 'ERR_HANDOVER_NOT_MOVABLE', message: "the server does not listen: wait for 'listening'" }
  assert.throws(() => serverKind.release(server, { flushTimeout: 0 }), refusal)
  await listening(t, server)
  server.close()
  assert.throws(() => serverKind.release(server, { flushTimeout: 0 }), refusal)
})

test('the path of a server is removed by the last who has it, and by nobody before', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'server')
  const server = await listening(t, answering('old'), { path, readableAll: true, writableAll: true })
  const { mode, ino } = statSync(path)
  const adopted = closing(t, (await handOver(serverKind, server)) as net.Server)
  adopted.on('connection', (socket) => socket.end('new'))
  assert.equal(adopted.address(), path)
  assert.equal(await served({ path }), 'new')
  const copy = closing(t, (await handCopy(serverKind, adopted)) as net.Server)
  adopted.close()
  assert.deepEqual([statSync(path).mode, statSync(path).ino], [mode, ino])
  copy.on('connection', (socket) => socket.end('copy'))
  assert.equal(await served({ path }), 'copy')
  copy.close()
  assert.equal(existsSync(path), false)
})

test('the path of a server that is closed on its way goes when nobody has it in the end', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'server')
  const server = await listening(t, answering('old'), { path })
  const parcel = await serverKind.release(server, { flushTimeout: 0 })
  server.close()
  assert.ok(existsSync(path))
  parcel.restored()
  assert.equal(existsSync(path), false)
})

test('a port arrives as a port with the clients that wait at it; the one that was sent leaves the path', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'port')
  for (const options of [local, { path, mode: 0o640 }]) {
    const port = ListeningPort.open(options)
    t.after(() => port.close())
    const where = typeof port.address === 'string' ? { path } : { port: port.address.port }
    const client = await connect(where)
    const arrived = await handOver(portKind, port)
    t.after(() => arrived.close())
    assert.equal(port.fd, -1)
    assert.deepEqual(arrived.address, port.address)
    await until('the client', () => arrived.accept(1) === 1)
    close(arrived.batch.descriptor(0))
    client.destroy()
    if ('path' in options) assert.equal(statSync(path).mode & 0o777, 0o640)
    const copy = await handCopy(portKind, arrived)
    arrived.close()
    const another = await connect(where)
    await until('the client', () => copy.accept(1) === 1)
    close(copy.batch.descriptor(0))
    another.destroy()
    copy.close()
    assert.equal(existsSync(path), false)
    assert.throws(() => portKind.release(copy, { flushTimeout: 0 }), { code: 'ERR_HANDOVER_NOT_MOVABLE' })
  }
})

test('a port comes back as it was, and one that is closed on its way removes its path then', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'port')
  const port = ListeningPort.open({ path })
  const parcel = await portKind.release(port, { flushTimeout: 0 })
  assert.throws(() => portKind.release(port, { flushTimeout: 0 }), /on its way already/)
  parcel.restored()
  const again = await portKind.release(port, { flushTimeout: 0 })
  port.close()
  assert.ok(existsSync(path))
  again.restored()
  assert.equal(existsSync(path), false)
})

test('a port that another program opened is adopted as it is: neither mode nor path change, and that one accepts on', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'theirs')
  const theirs = await listening(t, answering('theirs'), { path })
  const { mode } = statSync(path)
  const descriptor = (theirs as unknown as { _handle: { fd: number } })._handle.fd
  for (const options of [{}, { path }]) {
    const port = ListeningPort.adopt(dup(descriptor), options)
    assert.equal(port.address, path)
    port.close()
    assert.equal(statSync(path).mode, mode)
    assert.equal(await served({ path }), 'theirs')
  }
})

test('only a descriptor that listens is a port: anything else is refused and closed', (t) => {
  noLeak(t)
  const [one, other] = socketpair()
  assert.throws(() => ListeningPort.adopt(one), {
    name: 'TypeError',
    message: /^descriptor: a stream socket that listens/,
  })
  assert.throws(() => ListeningPort.adopt(new Descriptor(other)), { name: 'TypeError' })
  assert.throws(() => ListeningPort.adopt(other), { code: 'EBADF' })
  assert.throws(() => ListeningPort.adopt('x' as never), { name: 'TypeError' })
  const bytes = Buffer.alloc(0)
  for (const details of [{ class: 'net' }, { class: 'port' }]) {
    const [a, b] = socketpair()
    assert.throws(() => serverKind.adopt({ descriptors: [a], details, bytes }), { code: 'ERR_HANDOVER_IDENTITY' })
    assert.throws(() => portKind.adopt({ descriptors: [b], details, bytes }), { code: 'ERR_HANDOVER_IDENTITY' })
  }
  const [a, b] = socketpair()
  close(b)
  assert.throws(() => serverKind.adopt({ descriptors: [a], details: {}, bytes }), { code: 'ERR_HANDOVER_BAD_FRAME' })
})

test('a server listens with a port, which is spent, and removes its path', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'port')
  const port = ListeningPort.open({ path })
  const server = closing(t, port.listen(answering('server')))
  await once(server, 'listening')
  assert.equal(server.address(), path)
  assert.equal(await served({ path }), 'server')
  port.close()
  assert.equal(await served({ path }), 'server')
  server.close()
  assert.equal(existsSync(path), false)
  assert.throws(() => port.listen(net.createServer()), { code: 'ERR_HANDOVER_CLOSED' })
})
