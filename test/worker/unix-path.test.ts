import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { connect, get } from '../support/client.js'
import { fixture, scratch } from '../support/paths.js'
import { allClosed, closed, fromEach, plainly, program, said } from '../support/programs.js'
import { supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const pidOf = async (path: string): Promise<number> => Number((await get({ path })).body.split(' ')[0])

test('a server that listens on a path is answered there by every worker', async (t) => {
  const path = join(scratch(t), 'http.sock')
  const env = { ...process.env, SOCKET: path }
  const { supervisor, pids, path: reported } = await supervise(t, { script: fixture('http-pid.mjs'), workers: 2, env })
  assert.equal(reported, path)
  await fromEach(pids(), () => pidOf(path))
  await allClosed(supervisor)
})

test('the file of a path is gone after stop, and connections before it were served', async (t) => {
  const path = join(scratch(t), 'http.sock')
  const env = { ...process.env, SOCKET: path }
  const { supervisor } = await supervise(t, { script: fixture('http-pid.mjs'), workers: 2, env })
  assert.ok(statSync(path).isSocket())
  await supervisor.stop()
  assert.equal(existsSync(path), false)
})

test('a net server on a path has its clients half-close, and names its path as its address', async (t) => {
  const path = join(scratch(t), 'net.sock')
  const script = program(
    t,
    `import net from 'node:net'
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      const { localAddress, remoteAddress } = socket
      say('connection', { server: server.address(), own: socket.address(), localAddress, remoteAddress })
      socket.on('end', () => socket.end('heard you out'))
      socket.resume()
    })
    server.listen(${JSON.stringify(path)})
    say('address', server.address())`,
  )
  const worker = await supervise(t, { script })
  const socket = await connect({ path })
  socket.end('a last word')
  let received = ''
  for await (const chunk of socket.setEncoding('utf8')) received += chunk
  assert.equal(received, 'heard you out')
  await worker.supervisor.stop()
  const plain = plainly(t, script)
  await until('the plain program listens', () => said(plain, 'address').length === 1)
  ;(await connect({ path })).end('a last word').resume()
  await until('the plain program has a connection', () => said(plain, 'connection').length === 1)
  for (const what of ['address', 'connection']) assert.deepEqual(said(worker, what), said(plain, what))
})

test('readableAll and writableAll open a path up to others, as in a plain program', async (t) => {
  const folder = scratch(t)
  const script = program(
    t,
    `import http from 'node:http'
    process.umask(0o077)
    let left = 4
    for (const [name, access] of Object.entries({
      none: {}, r: { readableAll: true }, w: { writableAll: true }, rw: { readableAll: true, writableAll: true },
    })) {
      const path = process.env.FOLDER + '/' + name + process.env.ENDING
      http.createServer().listen({ path, ...access }, () => --left || say('listening'))
    }`,
  )
  const modes = (ending: string): number[] =>
    ['none', 'r', 'w', 'rw'].map((name) => statSync(join(folder, name + ending)).mode & 0o777)
  const plain = plainly(t, script, { FOLDER: folder, ENDING: '-plain' })
  await until('the plain program listens', () => said(plain, 'listening').length === 1)
  const before = process.umask(0o077)
  t.after(() => process.umask(before))
  const env = { ...process.env, FOLDER: folder, ENDING: '-worker' }
  const workers = await supervise(t, { script, workers: 2, env })
  await until('both workers listen', () => said(workers, 'listening').length === 2)
  assert.deepEqual(modes('-worker'), modes('-plain'))
})

test('the umask of the program, not of the master, makes the mode of its socket file', async (t) => {
  const path = join(scratch(t), 'private.sock')
  const script = program(
    t,
    `import http from 'node:http'
    process.umask(0o077)
    http.createServer().listen(${JSON.stringify(path)})`,
  )
  const before = process.umask(0o022)
  t.after(() => process.umask(before))
  await supervise(t, { script })
  assert.equal(statSync(path).mode & 0o077, 0, 'others have no access')
})

test('a program that unlinks its path before it listens is reachable while workers come, go and come back', async (t) => {
  const path = join(scratch(t), 'own.sock')
  const script = program(
    t,
    `import { existsSync, unlinkSync } from 'node:fs'
    import http from 'node:http'
    const path = ${JSON.stringify(path)}
    if (existsSync(path)) unlinkSync(path)
    http.createServer((request, response) => response.end(String(process.pid))).listen(path)`,
  )
  const { supervisor, pids } = await supervise(t, { script, workers: 2 })
  await fromEach(pids(), () => pidOf(path))
  for (const place of [0, 1]) {
    const old = pids()[place] as number
    process.kill(old, 'SIGKILL')
    await until('the worker is replaced', () => {
      const { workers } = supervisor.status()
      return workers.length === 2 && workers.every(({ pid, ready }) => ready && pid !== old)
    })
    await fromEach(pids(), () => pidOf(path))
  }
  await supervisor.stop()
  assert.equal(existsSync(path), false)
})

test('connections that waited on a path when a program unlinked it are served all the same', async (t) => {
  const path = join(scratch(t), 'own.sock')
  const script = program(
    t,
    `import { rmSync } from 'node:fs'
    import http from 'node:http'
    const path = ${JSON.stringify(path)}
    rmSync(path, { force: true })
    http.createServer((request, response) => {
      if (request.url === '/hold') say('held')
      else response.end(String(process.pid))
    }).listen(path)`,
  )
  // One connection a worker: the second and third wait in the kernel's queue of the file that will be unlinked.
  const { supervisor, pids } = await supervise(t, { script, maxConnections: 1 })
  const held = await connect({ path })
  const lost = closed(held.resume())
  held.write('GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until('the worker holds a connection', () => supervisor.status().workers[0]?.open === 1)
  const waiting = [get({ path }, '/'), get({ path }, '/')]
  const old = pids()[0] as number
  process.kill(old, 'SIGKILL')
  await lost
  const answers = await Promise.all(waiting)
  for (const { body } of answers) assert.notEqual(Number(body), old)
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  )
})

test('however many wait on a path that a program unlinked, all of them are served', async (t) => {
  const path = join(scratch(t), 'own.sock')
  const script = program(
    t,
    `import { rmSync } from 'node:fs'
    import http from 'node:http'
    const path = ${JSON.stringify(path)}
    rmSync(path, { force: true })
    http.createServer((request, response) => response.end(String(process.pid))).listen(path)`,
  )
  const { supervisor, pids, events } = await supervise(t, { script })
  const old = pids()[0] as number
  process.kill(old, 'SIGKILL')
  await until('nobody serves', () => events.some(({ name }) => name === 'ended'))
  const answers = await Promise.all(Array.from({ length: 200 }, () => get({ path }, '/')))
  for (const { body } of answers) assert.equal(Number(body), pids()[0])
  await allClosed(supervisor)
})

test('a server on an abstract name is answered there by every worker', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const script = program(
    t,
    `import http from 'node:http'
    http.createServer((request, response) => response.end(String(process.pid))).listen('\\0' + process.argv[2])`,
  )
  const name = `handover-test-${process.pid}`
  const { pids, supervisor } = await supervise(t, { script, workers: 2, args: [name] })
  await fromEach(pids(), () => pidOf(`\0${name}`))
  await allClosed(supervisor)
})
