import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import type net from 'node:net'
import test from 'node:test'
import tls from 'node:tls'
import { connect, get, inParallel } from '../support/client.js'
import { fixture } from '../support/paths.js'
import { allClosed, certificate, closed, fromEach } from '../support/programs.js'
import { supervise } from '../support/supervised.js'

/** Reads an echo server's greeting, has `text` echoed, and closes. @returns who greeted */
async function echoed(socket: net.Socket, text: string): Promise<number> {
  let received = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk
  })
  socket.end(text)
  await once(socket, 'close')
  const [pid, rest] = received.split('\n')
  assert.equal(rest, text)
  return Number(pid)
}

/** A request over an HTTP/2 session of its own. @returns who answered, after a look at the answer */
async function overHttp2(url: string, path: string, options: http2.SecureClientSessionOptions = {}): Promise<number> {
  const session = http2.connect(url, options)
  const request = session.request({ ':path': path })
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) body += chunk
  session.close()
  await once(session, 'close')
  const [pid, ...rest] = body.split(' ')
  assert.deepEqual(rest, ['2.0', path])
  return Number(pid)
}

test('an unmodified http server is answered by every worker, over connections of one and of many requests', async (t) => {
  const { supervisor, port, pids } = await supervise(t, { script: fixture('http-pid.mjs'), workers: 2 })
  await inParallel(200, 20, async (index) => {
    const { body } = await get({ port }, `/${index}`)
    const [pid, path] = body.split(' ')
    assert.ok(pids().includes(Number(pid)))
    assert.equal(path, `/${index}`)
  })
  await allClosed(supervisor) // none is passed over for connections that have ended
  await fromEach(pids(), async () => Number((await get({ port })).body.split(' ')[0]))
  const socket = await connect({ port })
  let received = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk
  })
  const request = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`
  socket.write(request('/a') + request('/b') + request('/c', 'Connection: close\r\n'))
  await once(socket, 'close')
  const answers = [...received.matchAll(/(\d+) (\/[abc])/g)]
  assert.deepEqual(
    answers.map(([, , path]) => path),
    ['/a', '/b', '/c'],
  )
  assert.equal(new Set(answers.map(([, pid]) => pid)).size, 1, 'one connection has one worker')
  await allClosed(supervisor)
})

test('an unmodified https server is answered by every worker, with its own certificate', async (t) => {
  const { keyFile, certFile, cert } = certificate(t)
  const env = { ...process.env, KEY: keyFile, CERT: certFile }
  const { supervisor, port, pids } = await supervise(t, { script: fixture('https-pid.mjs'), workers: 2, env })
  const trust = { ca: cert, servername: 'localhost' }
  await fromEach(pids(), async (turn) => {
    const request = https.get({ ...trust, host: '127.0.0.1', port, path: `/${turn}`, agent: false })
    const [response] = await once(request, 'response')
    let body = ''
    for await (const chunk of response.setEncoding('utf8')) body += chunk
    const [pid, path] = body.split(' ')
    assert.equal(path, `/${turn}`)
    return Number(pid)
  })
  await allClosed(supervisor)
})

test('an unmodified http2 server in clear text is answered by every worker', async (t) => {
  const { supervisor, port, pids } = await supervise(t, { script: fixture('http2-pid.mjs'), workers: 2 })
  await fromEach(pids(), (turn) => overHttp2(`http://127.0.0.1:${port}`, `/${turn}`))
  await allClosed(supervisor)
})

test('an unmodified http2 server over TLS answers HTTP/2 and, if it allows it, HTTP/1', async (t) => {
  const { keyFile, certFile, cert } = certificate(t)
  const env = { ...process.env, KEY: keyFile, CERT: certFile }
  const { supervisor, port, pids } = await supervise(t, { script: fixture('http2-pid.mjs'), workers: 2, env })
  const trust = { ca: cert, servername: 'localhost' }
  await fromEach(pids(), (turn) => overHttp2(`https://127.0.0.1:${port}`, `/${turn}`, trust))
  const request = https.get({ ...trust, host: '127.0.0.1', port, path: '/one', agent: false })
  const [response] = await once(request, 'response')
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  assert.match(body, /^\d+ 1\.1 \/one$/)
  await allClosed(supervisor)
})

test('an unmodified net server has every byte both ways, and the half-close of its clients', async (t) => {
  const { supervisor, port, pids } = await supervise(t, { script: fixture('net-echo.mjs'), workers: 2 })
  const large = 'all of it, in order; '.repeat(50_000)
  await fromEach(pids(), async () => echoed(await connect({ port }), large))
  await allClosed(supervisor)
})

test('an unmodified tls server shakes hands and echoes in every worker', async (t) => {
  const { keyFile, certFile, cert } = certificate(t)
  const env = { ...process.env, KEY: keyFile, CERT: certFile }
  const { supervisor, port, pids } = await supervise(t, { script: fixture('tls-echo.mjs'), workers: 2, env })
  const large = 'all of it, encrypted; '.repeat(20_000)
  await fromEach(pids(), async () => {
    const socket = tls.connect({ host: '127.0.0.1', port, ca: cert, servername: 'localhost' })
    await once(socket, 'secureConnect')
    return echoed(socket, large)
  })
  await allClosed(supervisor)
})

test('a client that fails its TLS handshake is closed, and counted as closed', async (t) => {
  const { keyFile, certFile } = certificate(t)
  const env = { ...process.env, KEY: keyFile, CERT: certFile }
  const { supervisor, port } = await supervise(t, { script: fixture('tls-echo.mjs'), workers: 2, env })
  const socket = await connect({ port })
  const gone = closed(socket.resume())
  socket.write('GET / HTTP/1.1\r\n\r\n')
  await gone
  await allClosed(supervisor)
})
