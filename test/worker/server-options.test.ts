import assert from 'node:assert/strict'
import type net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { connect, get } from '../support/client.js'
import { root } from '../support/paths.js'
import { allClosed, closed, heard, next, program, said } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** All a peer sends until its end. */
async function text(socket: net.Socket): Promise<string> {
  let received = ''
  for await (const chunk of socket.setEncoding('utf8')) received += chunk
  return received
}

test('maxConnections drops what is above it, with the addresses in the drop event', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    const server = net.createServer((socket) => socket.write('in'))
    server.maxConnections = 2
    server.on('drop', (data) => say('drop', data))
    server.listen(0, '127.0.0.1')`,
  )
  const { supervisor, port, ...worker } = await supervise(t, { script })
  const inside = [await connect({ port }), await connect({ port })]
  for (const socket of inside) assert.equal(String((await next(socket, 'data'))[0]), 'in')
  const outside = await connect({ port })
  const { localPort } = outside
  assert.equal(await text(outside), '')
  const places = { localAddress: '127.0.0.1', localPort: port, localFamily: 'IPv4' }
  const [drop] = await heard(worker, 'drop')
  assert.deepEqual(drop, { ...places, remoteAddress: '127.0.0.1', remotePort: localPort, remoteFamily: 'IPv4' })
  await until('the dropped connection is counted as closed', () => supervisor.status().workers[0]?.open === 2)
  inside[0]?.destroy()
  await until('the closed connection is counted', () => supervisor.status().workers[0]?.open === 1)
  assert.equal(String((await next(await connect({ port }), 'data'))[0]), 'in')
})

test('getConnections counts this server, and close waits for its last connection', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    net.createServer().listen(0)
    const server = net.createServer((socket) => {
      server.getConnections((error, count) => socket.write('number ' + count))
      socket.on('data', () => {
        server.on('close', () => say('closed', 'event'))
        server.close((error) => say('closed', error ? error.code : 'callback'))
        say('closing', [server.listening, server.address()])
        server.close((error) => say('twice', error.code))
      })
    })
    server.listen(0, '127.0.0.1', () => say('port', server.address().port))`,
  )
  const { supervisor, ...worker } = await supervise(t, { script })
  const [port] = (await heard<number>(worker, 'port')) as [number]
  const first = await connect({ port })
  assert.equal(String((await next(first, 'data'))[0]), 'number 1')
  const second = await connect({ port })
  assert.equal(String((await next(second, 'data'))[0]), 'number 2')
  first.write('close')
  assert.deepEqual(await heard(worker, 'closing'), [[false, null]])
  await until('nobody listens', () =>
    connect({ port })
      .then(
        (socket) => void socket.destroy(),
        (error: { code: string }) => error.code === 'ECONNREFUSED',
      )
      .then(Boolean),
  )
  first.destroy()
  await until('one connection is left', () => supervisor.status().workers[0]?.open === 1)
  assert.deepEqual(said(worker, 'closed'), [], 'a connection is still open')
  second.destroy()
  assert.deepEqual((await heard(worker, 'closed', 2)).sort(), ['callback', 'event'])
  assert.deepEqual(await heard(worker, 'twice'), ['ERR_SERVER_NOT_RUNNING'])
})

test('a program whose servers are all unreferenced ends by itself, and not before', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const refer = http.createServer((request, response) => {
      if (request.url === '/unref') refer.unref()
      if (request.url === '/ref') refer.ref()
      response.end(String(process.pid))
    })
    refer.listen(0, '127.0.0.1')
    const never = http.createServer()
    never.unref()
    never.listen(0, '127.0.0.1')
    const closed = http.createServer().listen(0, '127.0.0.1')
    closed.close()
    process.on('beforeExit', () => say('beforeExit'))`,
  )
  const { port, events, pids, ...worker } = await supervise(t, { script })
  const [pid] = pids()
  for (let n = 0; n < 3; n++) assert.equal(Number((await get({ port })).body), pid)
  assert.deepEqual(said(worker, 'beforeExit'), [])
  await get({ port }, '/unref')
  await until('the worker ends', () => events.some(({ name }) => name === 'ended'))
  assert.deepEqual(events.find(({ name }) => name === 'ended')?.end, { code: 0, signal: null })
  await heard(worker, 'beforeExit')
})

test('a program that closes its last server ends by itself', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const server = http.createServer((request, response) => {
      response.end('last')
      server.close()
    })
    server.listen(0, '127.0.0.1')`,
  )
  const { port, events } = await supervise(t, { script })
  await get({ port })
  await until('the worker ends', () => events.some(({ name }) => name === 'ended'))
  assert.deepEqual(events.find(({ name }) => name === 'ended')?.end, { code: 0, signal: null })
})

test('pauseOnConnect keeps the first bytes until the program reads', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    net.createServer({ pauseOnConnect: true }, (socket) => {
      const before = [socket.isPaused(), socket._handle.reading]
      socket.on('data', (data) => socket.end(JSON.stringify([before, String(data)])))
      process.once('SIGUSR2', () => socket.resume())
      say('connected')
    }).listen(0, '127.0.0.1')`,
  )
  const { port, pids, ...worker } = await supervise(t, { script })
  const socket = await connect({ port })
  socket.write('held back')
  await heard(worker, 'connected')
  process.kill(pids()[0] as number, 'SIGUSR2')
  assert.deepEqual(JSON.parse(await text(socket)), [[true, false], 'held back'])
})

test('allowHalfOpen leaves a server its half when the client has finished, and without it both end', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    for (const allowHalfOpen of [true, false]) {
      const server = net.createServer({ allowHalfOpen }, (socket) => {
        let heard = ''
        socket.on('data', (data) => (heard += data))
        socket.on('end', () => setImmediate(() => {
          if (socket.writable) socket.end('heard ' + heard)
        }))
      })
      server.listen(0, '127.0.0.1', () => say('port', [allowHalfOpen, server.address().port]))
    }`,
  )
  const { supervisor, ...worker } = await supervise(t, { script })
  for (const [halfOpen, port] of await heard<[boolean, number]>(worker, 'port', 2)) {
    const socket = await connect({ port })
    socket.end('all')
    assert.equal(await text(socket), halfOpen ? 'heard all' : '')
  }
  await allClosed(supervisor)
})

/** The numbers of the platform: level and name. */
const OPTIONS = {
  noDelay: [6, 1],
  keepAlive: process.platform === 'darwin' ? [0xffff, 8] : [1, 9],
}

test('noDelay and keepAlive are set on the connections of a server that asks for them, and on no others', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    const { getsockoptInt } = await import(${JSON.stringify(join(root, 'dist/src/syscalls/sockopt.js'))})
    const { noDelay, keepAlive } = ${JSON.stringify(OPTIONS)}
    for (const options of [{}, { noDelay: true, keepAlive: true }]) {
      const server = net.createServer(options, (socket) => {
        socket.end(JSON.stringify([noDelay, keepAlive].map((option) => getsockoptInt(socket._handle.fd, ...option) !== 0)))
      })
      server.listen(0, '127.0.0.1', () => say('port', [options.noDelay ?? false, server.address().port]))
    }`,
  )
  const worker = await supervise(t, { script })
  for (const [set, port] of await heard<[boolean, number]>(worker, 'port', 2)) {
    assert.deepEqual(JSON.parse(await text(await connect({ port }))), [set, set])
  }
})

test('a connection that the program resets, destroys or ends is counted as closed', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    net.createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (data) => socket[String(data)]())
    }).listen(0, '127.0.0.1')`,
  )
  const { supervisor, port } = await supervise(t, { script, workers: 2 })
  for (const way of ['end', 'destroy', 'destroySoon', 'resetAndDestroy']) {
    const socket = await connect({ port })
    const gone = closed(socket.resume())
    socket.write(way)
    await gone
    await allClosed(supervisor).catch((error: Error) => assert.fail(`${way}: ${error.message}`))
  }
})

test('a client that resets its connection is counted as closed', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    net.createServer((socket) => socket.on('error', ({ code }) => say('error', code)).resume()).listen(0, '127.0.0.1')`,
  )
  const { supervisor, port, ...worker } = await supervise(t, { script })
  const socket = await connect({ port })
  await until('the worker has it', () => supervisor.status().workers[0]?.open === 1)
  socket.resetAndDestroy()
  assert.deepEqual(await heard(worker, 'error'), ['ECONNRESET'])
  await allClosed(supervisor)
})
