import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import http2 from 'node:http2'
import type net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import tls from 'node:tls'
import WebSocket from 'ws'
import { connect, get } from '../support/client.js'
import { fixture, scratch } from '../support/paths.js'
import { certificate, closed, heard, next, program } from '../support/programs.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

/** A drain that only its limit would end fails these tests: they wait for 10 s. */
const PATIENT = 60_000
const GOOD_END = { code: 0, signal: null }

const ends = ({ events }: Supervised) => events.filter(({ name }) => name === 'ended').map(({ end }) => end)

async function soon(what: string, promise: Promise<unknown>): Promise<void> {
  let done = false
  const settled = promise.then(() => {
    done = true
  })
  await until(what, () => done)
  await settled
}

/** Waits until no new client is let in. */
async function refused(port: number): Promise<void> {
  await until('nobody listens', () =>
    connect({ port })
      .then(
        (late) => void late.destroy(),
        () => true,
      )
      .then(Boolean),
  )
}

/** A connection and what it has received. */
async function client(port: number): Promise<{ socket: net.Socket; text(): string; gone: Promise<void> }> {
  const socket = await connect({ port })
  let received = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk
  })
  return { socket, text: () => received, gone: closed(socket) }
}

const UPLOAD = `
  import http from 'node:http'
  const server = http.createServer(async (request, response) => {
    response.write('begin ')
    let size = 0
    for await (const chunk of request) {
      if (size === 0) say('reads')
      size += chunk.length
    }
    response.end('end ' + size)
  })
  server.listen(0, '127.0.0.1')`

test('a request under way is answered completely, and its keep-alive connection closed after it', async (t) => {
  const worker = await supervise(t, { script: program(t, UPLOAD), workers: 2, drainTimeout: PATIENT })
  const { socket, text, gone } = await client(worker.port)
  socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf')
  await heard(worker, 'reads')
  const stopped = worker.supervisor.stop()
  await refused(worker.port)
  await until('the other worker has ended', () => ends(worker).length === 1)
  assert.equal(text().includes('end'), false)
  socket.write('half')
  await soon('the connection is closed', gone)
  assert.match(text(), /begin [\s\S]*end 8/)
  assert.ok(text().endsWith('0\r\n\r\n'), 'to the last chunk')
  await soon('stop settles', stopped)
  assert.deepEqual(ends(worker), [GOOD_END, GOOD_END])
})

test('idle keep-alive connections are closed', async (t) => {
  const worker = await supervise(t, { script: fixture('http-pid.mjs'), workers: 2, drainTimeout: PATIENT })
  const idle = await Promise.all(Array.from({ length: 4 }, () => client(worker.port)))
  for (const { socket } of idle) socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until('all are answered', () => idle.every(({ text }) => text().includes('200 OK')))
  await soon('stop settles', worker.supervisor.stop())
  for (const { gone } of idle) await gone
  assert.deepEqual(ends(worker), [GOOD_END, GOOD_END])
})

test('workers with nothing to do end at once, with code 0, as expected', async (t) => {
  const worker = await supervise(t, { script: fixture('http-pid.mjs'), workers: 2, drainTimeout: PATIENT })
  await soon('stop settles', worker.supervisor.stop())
  assert.deepEqual(
    worker.events
      .filter(({ name }) => name === 'ended')
      .map(({ end, expected, restartIn }) => [end, expected, restartIn]),
    [
      [GOOD_END, true, null],
      [GOOD_END, true, null],
    ],
  )
})

test('a program that would run for ever is ended with code 0', async (t) => {
  const script = program(t, `setInterval(() => {}, 1000)\n${UPLOAD}`)
  const worker = await supervise(t, { script, workers: 2, drainTimeout: PATIENT })
  await soon('stop settles', worker.supervisor.stop())
  assert.deepEqual(ends(worker), [GOOD_END, GOOD_END])
})

for (const [kind, source] of [
  ['that nothing else keeps alive', ''],
  ['that a timer keeps alive', 'const timer = setInterval(() => {}, 1000)'],
] as const) {
  test(`the SIGTERM handler of a program ${kind} runs, once, and may end it in its own way`, async (t) => {
    const script = program(
      t,
      `${source}
      ${UPLOAD}
      process.on('SIGTERM', () => {
        say('terminating')
        server.close(() => {
          say('cleaned up')
          process.exit(0)
        })
      })`,
    )
    const worker = await supervise(t, { script, workers: 2, drainTimeout: PATIENT })
    await soon('stop settles', worker.supervisor.stop())
    assert.deepEqual(ends(worker), [GOOD_END, GOOD_END])
    const both = [null, null]
    assert.deepEqual(await heard(worker, 'terminating', 2), both)
    assert.deepEqual(await heard(worker, 'cleaned up', 2), both)
  })
}

test('the SIGTERM handler of a program runs only after its requests are answered', async (t) => {
  const script = program(
    t,
    `${UPLOAD}
    setInterval(() => {}, 1000)
    process.on('SIGTERM', () => {
      say('terminating')
      process.exit(0)
    })`,
  )
  const worker = await supervise(t, { script, drainTimeout: PATIENT })
  const { socket, text, gone } = await client(worker.port)
  socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf')
  await heard(worker, 'reads')
  const stopped = worker.supervisor.stop()
  await refused(worker.port)
  socket.write('half')
  await soon('the connection is closed', gone)
  assert.ok(text().endsWith('0\r\n\r\n'))
  await soon('stop settles', stopped)
  assert.deepEqual(await heard(worker, 'terminating'), [null])
  assert.deepEqual(ends(worker), [GOOD_END])
})

test('a program without servers left to close is not kept from its last words', async (t) => {
  const script = program(
    t,
    `${UPLOAD}
    process.on('beforeExit', () => say('beforeExit'))
    process.on('exit', (code) => say('exit', code))`,
  )
  const worker = await supervise(t, { script, drainTimeout: PATIENT })
  await soon('stop settles', worker.supervisor.stop())
  assert.deepEqual(await heard(worker, 'exit'), [0])
  await heard(worker, 'beforeExit')
})

test('a request that is stuck is cut at the drain limit, and not before', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    http.createServer(() => say('stuck')).listen(0, '127.0.0.1')`,
  )
  const worker = await supervise(t, { script, workers: 2, drainTimeout: 300 })
  const { socket, gone } = await client(worker.port)
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await heard(worker, 'stuck')
  const began = performance.now()
  const stopped = worker.supervisor.stop()
  await gone
  const took = performance.now() - began
  assert.ok(took >= 290, `cut after ${took} ms`)
  await stopped
  assert.deepEqual(ends(worker), [GOOD_END, GOOD_END])
})

test('the limit given to stop counts, not that of the supervisor', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    http.createServer(() => say('stuck')).listen(0, '127.0.0.1')`,
  )
  const worker = await supervise(t, { script, drainTimeout: PATIENT })
  const { socket, gone } = await client(worker.port)
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await heard(worker, 'stuck')
  await soon('stop settles', worker.supervisor.stop(100))
  await gone
  assert.deepEqual(ends(worker), [GOOD_END])
})

test('plain connections and WebSockets may go on until their peers have finished', async (t) => {
  const worker = await supervise(t, { script: fixture('ws-echo.mjs'), drainTimeout: PATIENT })
  const socket = new WebSocket(`ws://127.0.0.1:${worker.port}`)
  await next(socket, 'message')
  const stopped = worker.supervisor.stop()
  await refused(worker.port)
  socket.send('still there?')
  assert.equal(String((await next(socket, 'message'))[0]), 'still there?')
  socket.close()
  await once(socket, 'close')
  await soon('stop settles', stopped)
  assert.deepEqual(ends(worker), [GOOD_END])
})

test('a connection that was reset by the program does not hold up the drain', async (t) => {
  const script = program(
    t,
    `import net from 'node:net'
    net.createServer((socket) => socket.on('data', () => socket.resetAndDestroy())).listen(0, '127.0.0.1')`,
  )
  const worker = await supervise(t, { script, drainTimeout: PATIENT })
  const { socket, gone } = await client(worker.port)
  socket.write('reset me')
  await gone
  await soon('stop settles', worker.supervisor.stop())
})

test('an idle HTTP/2 session does not hold up the drain, one with a stream is let finish it', async (t) => {
  const script = program(
    t,
    `import http2 from 'node:http2'
    const server = http2.createServer(async (request, response) => {
      let size = 0
      for await (const chunk of request) {
        if (size === 0) say('reads')
        size += chunk.length
      }
      response.end('had ' + size)
    })
    server.listen(0, '127.0.0.1')`,
  )
  const worker = await supervise(t, { script, drainTimeout: PATIENT })
  const session = http2.connect(`http://127.0.0.1:${worker.port}`)
  const gone = once(session, 'close')
  const request = session.request({ ':method': 'POST' })
  request.write('half')
  await heard(worker, 'reads')
  const stopped = worker.supervisor.stop()
  await refused(worker.port)
  request.end('half')
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) body += chunk
  assert.equal(body, 'had 8')
  await soon('the session is closed', gone)
  await soon('stop settles', stopped)
  assert.deepEqual(ends(worker), [GOOD_END])
})

test('a worker that closed its server itself still drains', async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    setInterval(() => {}, 1000)
    const server = http.createServer((request, response) => {
      response.end('closing')
      server.close()
    }).listen(0, '127.0.0.1')
    http.createServer().listen(0, '127.0.0.1')`,
  )
  const worker = await supervise(t, { script, workers: 2, drainTimeout: PATIENT })
  assert.equal((await get({ port: worker.port })).body, 'closing')
  await soon('stop settles', worker.supervisor.stop())
  assert.deepEqual(ends(worker), [GOOD_END, GOOD_END])
})

test('servers on a path drain like others, and their file is gone as soon as nobody listens', async (t) => {
  const path = join(scratch(t), 'drain.sock')
  const script = program(t, UPLOAD.replace(`0, '127.0.0.1'`, JSON.stringify(path)))
  const worker = await supervise(t, { script, drainTimeout: PATIENT })
  const socket = await connect({ path })
  let received = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk
  })
  const gone = closed(socket)
  socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf')
  await heard(worker, 'reads')
  const stopped = worker.supervisor.stop()
  await until('the file is gone', () => !existsSync(path))
  socket.write('half')
  await soon('the connection is closed', gone)
  assert.ok(received.endsWith('0\r\n\r\n'))
  await soon('stop settles', stopped)
})

for (const kind of ['http', 'https']) {
  test(`the first request of a connection that was there before the drain is answered (${kind})`, async (t) => {
    const { keyFile, certFile } = certificate(t)
    const script = program(
      t,
      `import { readFileSync } from 'node:fs'
      import { createServer } from 'node:${kind}'
      const options = { key: readFileSync(process.env.KEY), cert: readFileSync(process.env.CERT) }
      const server = createServer(options, (request, response) => response.end('answered'))
      const { close } = server
      server.close = (...rest) => {
        close.apply(server, rest)
        say('closes')
      }
      server.on('${kind === 'https' ? 'secureConnection' : 'connection'}', () => say('connected'))
      server.listen(0, '127.0.0.1')`,
    )
    const env = { ...process.env, KEY: keyFile, CERT: certFile }
    const app = await supervise(t, { script, env, drainTimeout: PATIENT })
    const where = { port: app.port, host: '127.0.0.1', rejectUnauthorized: false }
    const socket = kind === 'https' ? tls.connect(where) : await connect(where)
    const gone = closed(socket)
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    await heard(app, 'connected')
    const stopped = app.supervisor.stop()
    await heard(app, 'closes')
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await soon('the connection ends', gone)
    assert.match(text, /answered$|answered\r\n/)
    await soon('it is stopped', stopped)
    assert.deepEqual(ends(app), [GOOD_END])
  })
}
