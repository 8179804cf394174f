import assert from 'node:assert/strict'
import type net from 'node:net'
import test from 'node:test'
import { connect, get } from '../support/client.js'
import { keepAlive } from '../support/keep-alive.js'
import { allClosed, closed, heard, program } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** Collects what a connection receives. */
function collect(socket: net.Socket): { text: string; gone: Promise<void> } {
  const collected = { text: '', gone: closed(socket) }
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    collected.text += chunk
  })
  return collected
}

const SLOW = { connectionsCheckingInterval: 20, keepAliveTimeout: 60_000 }

for (const [name, options, bytes] of [
  ['headersTimeout', { headersTimeout: 100, requestTimeout: 60_000 }, 'GET / HTTP/1.1\r\nHost: local'],
  [
    'requestTimeout',
    { headersTimeout: 100, requestTimeout: 100 },
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf',
  ],
  ['headersTimeout, before its first byte,', { headersTimeout: 100, requestTimeout: 60_000 }, ''],
] as const) {
  test(`a client slower than ${name} has 408 and is closed`, async (t) => {
    const script = program(
      t,
      `import http from 'node:http'
      http.createServer(${JSON.stringify({ ...SLOW, ...options })}, (request) => request.resume()).listen(0, '127.0.0.1')`,
    )
    const { supervisor, port } = await supervise(t, { script, workers: 2 })
    const socket = await connect({ port })
    const received = collect(socket)
    socket.write(bytes)
    await received.gone
    assert.match(received.text, /^HTTP\/1\.1 408 Request Timeout\r\n/)
    await allClosed(supervisor)
  })
}

test('a connection idle for longer than keepAliveTimeout is closed, after a second request on it', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    http.createServer({ keepAliveTimeout: 2_000 }, (request, response) => response.end(request.url)).listen(0, '127.0.0.1')`,
  )
  const { supervisor, port } = await supervise(t, { script })
  const socket = await connect({ port })
  const received = collect(socket)
  for (const path of ['/first', '/second']) {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await until(`${path} is answered`, () => received.text.endsWith(path))
  }
  await received.gone
  await allClosed(supervisor)
})

test('server.timeout closes a connection on which nothing moves', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const server = http.createServer()
    server.timeout = 100
    server.listen(0, '127.0.0.1')`,
  )
  const { supervisor, port } = await supervise(t, { script })
  const socket = await connect({ port })
  const received = collect(socket)
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await received.gone
  assert.equal(received.text, '')
  await allClosed(supervisor)
})

test('closeIdleConnections closes idle connections alone, closeAllConnections the rest', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const server = http.createServer((request, response) => {
      if (request.url === '/hold') return say('held')
      if (request.url === '/idle') server.closeIdleConnections()
      if (request.url === '/all') return server.closeAllConnections()
      response.end('answered')
    })
    server.listen(0, '127.0.0.1')`,
  )
  const { supervisor, port, ...worker } = await supervise(t, { script })
  const [idle, held] = [await connect({ port }), await connect({ port })]
  const [ofIdle, ofHeld] = [collect(idle), collect(held)]
  idle.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  held.write('GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until('the first is answered', () => ofIdle.text.endsWith('answered'))
  await heard(worker, 'held')
  assert.equal((await get({ port }, '/idle')).body, 'answered')
  await ofIdle.gone
  assert.equal(held.readyState, 'open')
  await assert.rejects(get({ port }, '/all'), { code: 'ECONNRESET' })
  await ofHeld.gone
  await allClosed(supervisor)
})

test('the close of an http server closes its idle connections and lets the others finish', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    http.createServer().listen(0)
    const server = http.createServer((request, response) => {
      request.on('data', () => server.close(() => say('closed')))
      request.on('end', () => response.end('answered'))
      request.resume()
    })
    server.listen(0, '127.0.0.1', () => say('port', server.address().port))`,
  )
  const { supervisor, ...worker } = await supervise(t, { script })
  const [port] = (await heard<number>(worker, 'port')) as [number]
  const [idle, busy] = [await connect({ port }), await connect({ port })]
  const [ofIdle, ofBusy] = [collect(idle), collect(busy)]
  idle.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until('the first is answered', () => ofIdle.text.endsWith('answered'))
  busy.write('POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n1')
  await ofIdle.gone
  busy.write('2')
  await until('the second is answered', () => ofBusy.text.endsWith('answered'))
  await ofBusy.gone
  await heard(worker, 'closed')
  await allClosed(supervisor)
})

for (const reloads of [1, 2]) {
  test(`a connection that waits for another request still does after ${reloads} reloads: headersTimeout is not for it`, async (t) => {
    const script = program(
      t,
      `import http from 'node:http'
      const options = ${JSON.stringify({ ...SLOW, headersTimeout: 1_500, requestTimeout: 60_000 })}
      const { HANDOVER_GENERATION: generation } = process.env
      http.createServer(options, (request, response) => response.end(generation)).listen(0, '127.0.0.1')`,
    )
    const { supervisor, port } = await supervise(t, { script })
    const client = await keepAlive(t, port)
    assert.equal(await client.ask(), '1')
    for (let round = 0; round < reloads; round++) await supervisor.reload()
    const later = await connect({ port })
    const received = collect(later)
    await received.gone // which came later and is over the limit
    assert.match(received.text, /^HTTP\/1\.1 408 /)
    assert.equal(await client.ask(), String(1 + reloads))
  })
}

test('keepAliveTimeout ends a connection that a reload has moved, in silence', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    const keepAliveTimeout = process.env.HANDOVER_GENERATION === '1' ? 60_000 : 100
    http.createServer({ keepAliveTimeout }, (request, response) => response.end('answer')).listen(0, '127.0.0.1')`,
  )
  const { supervisor, port } = await supervise(t, { script })
  const socket = await connect({ port })
  const received = collect(socket)
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until('it is answered', () => received.text.endsWith('answer'))
  await supervisor.reload()
  await received.gone
  assert.match(received.text, /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nanswer$/s)
  await allClosed(supervisor)
})
