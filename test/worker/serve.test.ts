import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { Supervisor, serve } from '../../src/index.js'
import { connect, get } from '../support/client.js'
import { fixture, scratch } from '../support/paths.js'
import { allClosed, freePort, fromEach, heard, plainly } from '../support/programs.js'
import { supervise } from '../support/supervised.js'

const script = fixture('serve.mjs')
const options = (env: Record<string, string>) => ({
  script,
  workers: 2,
  preload: false,
  env: { ...process.env, ...env },
})

test('serve listens on a port of the master, without the preload, and every worker answers', async (t) => {
  const place = JSON.stringify({ port: 0, host: '127.0.0.1' })
  const { supervisor, port, pids, ...workers } = await supervise(t, options({ PLACE: place }))
  const address = { address: '127.0.0.1', family: 'IPv4', port }
  assert.deepEqual(await heard(workers, 'listening', 2), [address, address])
  assert.deepEqual(await heard(workers, 'returned', 2), [true, true])
  await fromEach(pids(), async () => Number((await get({ port })).body))
  await allClosed(supervisor)
})

test('serve without a host listens on every address, for a server of any kind', async (t) => {
  const { supervisor, port, pids } = await supervise(t, options({ PLACE: '{"port":0}', KIND: 'net' }))
  for (const host of ['127.0.0.1', '::1']) {
    await fromEach(pids(), async () => {
      let received = ''
      for await (const chunk of (await connect({ port, host })).setEncoding('utf8')) received += chunk
      return Number(received)
    })
  }
  await allClosed(supervisor)
})

test('serve listens on a path', async (t) => {
  const path = join(scratch(t), 'serve.sock')
  const { pids, ...workers } = await supervise(t, options({ PLACE: JSON.stringify({ path }) }))
  await heard(workers, 'listening', 2)
  await fromEach(pids(), async () => Number((await get({ path })).body))
})

test('serve works the same with the preload', async (t) => {
  const workers = { ...options({ PLACE: '{"port":0,"host":"127.0.0.1"}' }), preload: true }
  const { port, pids } = await supervise(t, workers)
  await fromEach(pids(), async () => Number((await get({ port })).body))
})

test('a server that serve has made listen is closed like any other', async (t) => {
  const { supervisor, port, pids, ...workers } = await supervise(t, options({ PLACE: '{"port":0}' }))
  await heard(workers, 'listening', 2)
  await get({ port })
  for (const pid of pids()) process.kill(pid, 'SIGUSR2')
  await heard(workers, 'closed', 2)
  assert.deepEqual(supervisor.status().ports, [])
})

test('serve reports a port in use as listen does, with its address and port', async (t) => {
  const holder = net.createServer().listen(0, '127.0.0.1')
  t.after(() => holder.close())
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const supervisor = new Supervisor(options({ PLACE: JSON.stringify({ port, host: '127.0.0.1' }) }))
  t.after(() => supervisor.kill())
  const lines: string[] = []
  supervisor.on('line', ({ text }) => lines.push(text))
  await assert.rejects(supervisor.start(), { code: 'EADDRINUSE' })
  const [error] = await heard({ lines }, 'error')
  const message = `listen EADDRINUSE: address already in use 127.0.0.1:${port}`
  assert.deepEqual(error, { message, code: 'EADDRINUSE', syscall: 'listen', address: '127.0.0.1', port })
})

test('serve reports a path in use as listen does, with the path', async (t) => {
  const path = join(scratch(t), 'held.sock')
  const holder = net.createServer().listen(path)
  t.after(() => holder.close())
  await once(holder, 'listening')
  const supervisor = new Supervisor(options({ PLACE: JSON.stringify({ path }) }))
  t.after(() => supervisor.kill())
  const lines: string[] = []
  supervisor.on('line', ({ text }) => lines.push(text))
  await assert.rejects(supervisor.start(), { code: 'EADDRINUSE' })
  const [error] = await heard<{ message: string; address: string }>({ lines }, 'error')
  assert.equal(error?.message, `listen EADDRINUSE: address already in use ${path}`)
  assert.equal(error?.address, path)
})

test('serve in a program that no master started just listens', async (t) => {
  const port = await freePort()
  const plain = plainly(t, script, { PLACE: JSON.stringify({ port, host: '127.0.0.1' }) })
  assert.deepEqual(await heard(plain, 'listening'), [{ address: '127.0.0.1', family: 'IPv4', port }])
  assert.match((await get({ port })).body, /^\d+$/)
})

test('serve without options and without a master says what is missing', () => {
  assert.throws(() => serve(http.createServer()), { name: 'TypeError', message: /^options: / })
})

test('serve without options takes part in every port that is open already', async (t) => {
  const env = { PLACE: '{"port":0,"host":"127.0.0.1"}', FLAG: join(scratch(t), 'open') }
  const { supervisor, port, pids } = await supervise(t, options(env))
  await fromEach(pids(), async () => Number((await get({ port })).body))
  await allClosed(supervisor)
})

test('serve refuses a server that listens already, and leaves it as it was, with a master and without', async (t) => {
  const twice = fixture('serve-twice.mjs')
  const plain = plainly(t, twice)
  const worker = await supervise(t, { script: twice, preload: false })
  for (const program of [plain, worker]) {
    assert.deepEqual(await heard(program, 'thrown'), ['ERR_SERVER_ALREADY_LISTEN'])
    const [port] = (await heard<number>(program, 'port')) as [number]
    assert.equal((await get({ port })).body, 'as it was')
  }
})
