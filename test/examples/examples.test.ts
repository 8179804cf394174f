/** Every program of examples/ runs and does what its first lines say. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, statSync } from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { type Channel, ListeningPort, listen } from '../../src/index.js'
import { get } from '../support/client.js'
import { type Command, command, handover } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { notifyManager } from '../support/notify-manager.js'
import { root, scratch } from '../support/paths.js'
import { until } from '../support/wait.js'

const example = (name: string): string => join(root, 'examples', name)
const PORT = /listening on (?:http:\/\/)?127\.0\.0\.1:(\d+)/

test('every example is run here', () => {
  assert.deepEqual(readdirSync(join(root, 'examples')).sort(), [
    'by-address.mjs',
    'channel.mjs',
    'client.py',
    'copy-descriptor.mjs',
    'http-server.mjs',
    'notify-socket.mjs',
    'pass-connection.mjs',
    'send-and-receive.mjs',
    'serve.mjs',
    'supervisor.mjs',
    'systemd.mjs',
    'take-over.mjs',
  ])
})

test('http-server and by-address: one client, one worker', async (t) => {
  const run = handover(t, ['run', '-w', '3', '--policy', example('by-address.mjs'), example('http-server.mjs')])
  const port = Number(await run.line(PORT))
  await until('all are ready', () => run.stdout().split(' ready (pid').length === 4)
  const seen = new Set<string>()
  for (let i = 0; i < 6; i++) seen.add((await get({ port }, '/hello')).body)
  assert.equal(seen.size, 1)
  assert.match([...seen][0] as string, /^GET \/hello answered by process \d+\n$/)
})

test('serve: alone and with two workers', async (t) => {
  const alone = command(t, process.execPath, [example('serve.mjs')])
  const port = Number(await alone.line(/serving on port (\d+)/))
  assert.match((await get({ port })).body, new RegExp(`served by ${alone.child.pid}`))
  const run = handover(t, ['run', '--no-preload', '-w', '2', example('serve.mjs')])
  const shared = Number(await run.line(PORT))
  await until('both are ready', () => run.stdout().split(' ready (pid').length === 3)
  const seen = new Set<string>()
  for (let i = 0; i < 4; i++) seen.add((await get({ port: shared })).body)
  assert.equal(seen.size, 2)
})

test('supervisor: serves, and stops when asked to', async (t) => {
  const run = command(t, process.execPath, [example('supervisor.mjs')])
  const port = Number(await run.line(PORT))
  assert.equal((await get({ port })).status, 200)
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
  assert.match(run.stdout(), /served 1 connections\n$/)
})

test('send-and-receive: what one side gathers the other scatters', async (t) => {
  const run = command(t, process.execPath, [example('send-and-receive.mjs')])
  assert.equal(await run.ended, 0)
  assert.match(run.stdout(), /the server received "a longer line"/)
  assert.match(run.stdout(), /the client received "A LONGER LINE"\n$/)
})

test('copy-descriptor: the child reads what it has no path of', async (t) => {
  const run = command(t, process.execPath, [example('copy-descriptor.mjs')])
  assert.equal(await run.ended, 0)
  assert.match(run.stdout(), /the parent sent 1 byte and descriptor \d+\n/)
  assert.match(run.stdout(), /the child received "!" and descriptor \d+, which begins with "\/\/ Copies/)
})

test('notify-socket: the service is known by the kernel’s word, and its descriptor is kept', async (t) => {
  const run = command(t, process.execPath, [example('notify-socket.mjs')])
  assert.equal(await run.ended, 0)
  assert.equal(
    run.stdout(),
    [
      'the service says {"READY":"1","STATUS":"Serving nobody yet"}',
      'the service says {"FDSTORE":"1","FDNAME":"state"}',
      `kept as state: a file of ${statSync(example('notify-socket.mjs')).size} bytes`,
      'the service says {"STOPPING":"1"}\n',
    ].join('\n'),
  )
})

test('pass-connection: each request is answered by the worker that has its connection', async (t) => {
  const run = command(t, process.execPath, [example('pass-connection.mjs')])
  assert.equal(await run.ended, 0)
  assert.equal(run.stdout(), '4 requests were answered by 2 workers\n')
})

test('systemd: alone it serves a port of its own, reloads, and ends when asked to', async (t) => {
  const run = command(t, process.execPath, [example('systemd.mjs')], { env: { ...process.env, NOTIFY_SOCKET: '' } })
  const port = Number(await run.line(/http:\/\/127\.0\.0\.1:(\d+)/))
  assert.equal((await get({ port })).body, `hello from process ${run.child.pid}, port http\n`)
  run.child.kill('SIGHUP')
  await run.line(/reloaded/)
  assert.match((await get({ port })).body, /^hello again /)
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
})

test('systemd: its own port goes to the manager’s store, and the next start serves it', async (t) => {
  noLeak(t)
  const manager = notifyManager(t)
  const env = { ...process.env, NOTIFY_SOCKET: manager.address, WATCHDOG_USEC: '60000000' }
  const first = command(t, process.execPath, [example('systemd.mjs')], { env })
  const stored = await manager.next()
  assert.deepEqual(stored.lines, ['FDSTORE=1', 'FDNAME=http'])
  const port = Number(await first.line(/http:\/\/127\.0\.0\.1:(\d+)/))
  assert.deepEqual((await manager.next()).lines, ['WATCHDOG=1'])
  assert.deepEqual((await manager.next()).lines, ['READY=1', 'STATUS=Serving http'])
  first.child.kill('SIGKILL')
  await first.ended
  const early = get({ port }) // the port is open all the time: this client waits
  const [descriptor] = stored.descriptors
  const next = spawn('/bin/sh', ['-c', 'LISTEN_PID=$$ exec "$0" "$1"', process.execPath, example('systemd.mjs')], {
    env: { ...env, LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' },
    stdio: ['ignore', 'ignore', 'inherit', descriptor?.fd],
  })
  const ended = new Promise((resolve) => next.once('exit', resolve))
  t.after(async () => {
    next.kill('SIGKILL')
    await ended
  })
  assert.equal((await early).body, `hello from process ${next.pid}, port http\n`)
  assert.deepEqual((await manager.next()).lines, ['WATCHDOG=1'])
  assert.deepEqual((await manager.next()).lines, ['READY=1', 'STATUS=Serving http'], 'and stores nothing again')
  next.kill('SIGTERM')
  assert.equal(await ended, 0)
})

test('channel: what was read before the connection was handed over is the child’s', async (t) => {
  const run = command(t, process.execPath, [example('channel.mjs')])
  const port = Number(await run.line(PORT))
  const client = net.connect(port, '127.0.0.1').setEncoding('utf8')
  t.after(() => client.destroy())
  let heard = ''
  client.on('data', (text: string) => {
    heard += text
  })
  client.write('ann\nand more\n')
  await until('the child answers', () => heard.endsWith('and more\n'))
  const [, pid] = /^who is there\?\nhello ann, process (\d+) here\nand more\n$/.exec(heard) ?? []
  assert.ok(pid !== undefined && Number(pid) !== run.child.pid, heard)
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
})

test('take-over: the second program has the port and the live connections, and no client notices', async (t) => {
  const name = join(scratch(t), 'name')
  const start = (): Command => command(t, process.execPath, [example('take-over.mjs'), '0', name])
  const first = start()
  const port = Number(await first.line(/serves port (\d+)/))
  await until('the name is there', () => existsSync(name))
  const clients = Array.from({ length: 20 }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }))
  t.after(() => {
    for (const agent of clients) agent.destroy()
  })
  const ask = (): Promise<string[]> => Promise.all(clients.map((agent) => answerOf(agent, port)))
  assert.deepEqual(new Set(await ask()), new Set([`${first.child.pid} new`]))
  const second = start()
  let answers: string[]
  do answers = await ask()
  while (answers.some((answer) => answer !== `${second.child.pid} reused`))
  assert.equal(await first.ended, 0)
  assert.match(await second.line(/has taken over (\d+) connections/), /^20$/)
})

/** Which process answered, and whether over a connection that was there before. */
function answerOf(agent: http.Agent, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, agent, path: '/x' }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('end', () => resolve(`${body.split(' ')[0]} ${request.reusedSocket ? 'reused' : 'new'}`))
    })
    request.on('error', reject)
  })
}

test('client.py: Python takes a connection with its unread bytes, and hands over a port', async (t) => {
  noLeak(t)
  const listener = await listen(join(scratch(t), 'name'))
  t.after(() => listener.close())
  const python = command(t, 'python3', [example('client.py'), listener.address])
  const channel = (await listener.accept()) as Channel
  t.after(() => channel.close())
  assert.equal(channel.peer?.pid, python.child.pid)
  const server = net.createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  const client = net.connect((await listening(server)).port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [net.Socket]
  client.write('read before')
  await once(socket, 'readable')
  await channel.send('take it', [socket])
  let heard = ''
  for await (const chunk of client) heard += chunk
  assert.equal(heard, 'python takes over, 11 bytes were read: read before\n')
  const delivery = await channel.receive()
  assert.deepEqual(delivery?.message, { took: 1 })
  const port = delivery?.things[0] as ListeningPort
  assert.ok(port instanceof ListeningPort)
  assert.equal(await python.ended, 0, python.stderr())
  assert.equal(python.stdout(), 'claimed\n')
  port.close()
})

async function listening(server: net.Server): Promise<AddressInfo> {
  await once(server, 'listening')
  return server.address() as AddressInfo
}
