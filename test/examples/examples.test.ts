/** Every program of examples/ runs and does what its first lines say. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, statSync } from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import WebSocket from 'ws'
import { type Channel, ListeningPort, listen } from '../../src/index.js'
import { get } from '../support/client.js'
import { type Command, command, handover } from '../support/command.js'
import { noLeak } from '../support/descriptors.js'
import { notifyManager } from '../support/notify-manager.js'
import { root, scratch } from '../support/paths.js'
import { freePort } from '../support/programs.js'
import { until } from '../support/wait.js'

const example = (name: string): string => join(root, 'examples', name)
const PORT = /listening on (?:http:\/\/)?127\.0\.0\.1:(\d+)/

test('every example is run here', () => {
  assert.deepEqual(readdirSync(join(root, 'examples')).sort(), [
    'by-address.mjs',
    'channel.mjs',
    'client.py',
    'copy-descriptor.mjs',
    'deploy',
    'http-server.mjs',
    'login.mjs',
    'notify-socket.mjs',
    'pass-connection.mjs',
    'routes.mjs',
    'send-and-receive.mjs',
    'serve.mjs',
    'supervisor.mjs',
    'systemd.mjs',
    'take-over.mjs',
    'websockets.mjs',
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

test('routes: host and path lead to a group, a cookie to a worker of it', async (t) => {
  const run = handover(t, ['run', '--handshake', example('routes.mjs'), example('http-server.mjs')])
  const port = Number(await run.line(PORT))
  await until('all are ready', () => run.stdout().split(' ready (pid').length === 5)
  const ask = async (host: string, path: string, session: number | null = null): Promise<string> => {
    const headers = { host, ...(session === null ? {} : { cookie: `a=b; sid=${session}` }) }
    const { status, body } = await get({ port }, path, { headers })
    return status === 200 ? (/process (\d+)/.exec(body)?.[1] as string) : String(status)
  }
  const sessions = Array.from({ length: 12 }, (_, index) => index)
  const web = await Promise.all(sessions.map((session) => ask('www.example', '/', session)))
  const api = await Promise.all(sessions.map((session) => ask('api.example', '/', session)))
  assert.deepEqual(await Promise.all(sessions.map((session) => ask('www.example', '/more', session))), web)
  assert.deepEqual(await Promise.all(sessions.map((session) => ask('www.example', '/api/x', session))), api)
  assert.equal(new Set(web).size, 2)
  assert.equal(new Set([...web, ...api]).size, 4)
  assert.ok(web.includes(await ask('www.example', '/apix')))
  assert.equal(await ask('www.example', '/.git/config'), '410')
})

/** Logs in, all lines in one write, and gives what is said. */
async function login(
  t: TestContext,
  port: number,
  ...lines: string[]
): Promise<{ heard(): string; socket: net.Socket }> {
  const socket = net.connect(port, '127.0.0.1').setEncoding('utf8')
  t.after(() => socket.destroy())
  let heard = ''
  socket.on('data', (text: string) => {
    heard += text
  })
  socket.write(lines.map((line) => `${line}\n`).join(''))
  await until('it is answered', () => heard.endsWith('\n'))
  return { heard: () => heard, socket }
}

test('login: a user’s sessions are in one worker, and what was typed ahead is theirs', async (t) => {
  const run = command(t, process.execPath, [example('login.mjs'), '0'])
  const port = Number(await run.line(PORT))
  const pids = new Set<string>()
  for (const [user, password] of [
    ['ann', 'apple'],
    ['ben', 'bean'],
  ] as const) {
    const first = await login(t, port, user, password, 'typed ahead', 'and more')
    const [, pid] = /^user: password: hello \w+, session 1 in process (\d+)\n/.exec(first.heard()) ?? []
    assert.ok(pid !== undefined && Number(pid) !== run.child.pid, first.heard())
    await until('all is there', () => first.heard().endsWith(`\n${user}: typed ahead\n${user}: and more\n`))
    for (let session = 2; session <= 5; session++) {
      const next = await login(t, port, user, password)
      assert.equal(next.heard(), `user: password: hello ${user}, session ${session} in process ${pid}\n`)
    }
    pids.add(pid)
  }
  assert.equal((await login(t, port, 'ann', 'bean', 'x')).heard(), 'user: password: no\n')
  assert.equal((await login(t, port, 'x'.repeat(300))).heard(), 'user: that is no name, and no password\n')
  // One that says it letter by letter, and goes in the middle.
  const slow = net.connect({ port, host: '127.0.0.1', noDelay: true })
  await once(slow, 'data')
  slow.write('an')
  slow.resetAndDestroy()
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
  assert.equal(run.stderr(), '')
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

test('websockets: a client is counted on through a reload', async (t) => {
  const run = command(t, process.execPath, [example('websockets.mjs'), '0'])
  const port = Number(await run.line(/ws:\/\/127\.0\.0\.1:(\d+)/))
  const client = new WebSocket(`ws://127.0.0.1:${port}/ann`)
  t.after(() => client.terminate())
  await once(client, 'open')
  const answers: string[] = []
  for (const word of ['hello', 'again']) {
    const answer = once(client, 'message')
    client.send(word)
    answers.push(String((await answer)[0]))
    run.child.kill('SIGHUP')
    await run.line(word === 'hello' ? /generation 2 serves/ : /generation 3 serves/)
  }
  const [first, second] = answers.map((answer) => /^(.*) \(process (\d+)\)$/.exec(answer) as RegExpExecArray)
  assert.deepEqual(
    [first?.[1], second?.[1]],
    ['ann said 1 things; the last was hello', 'ann said 2 things; the last was again'],
  )
  assert.notEqual(first?.[2], second?.[2])
  client.close()
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
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

test('channel: when the child ends, the master answers what it has not taken, and starts another', async (t) => {
  const run = command(t, process.execPath, [example('channel.mjs')])
  const port = Number(await run.line(PORT))
  const greeted = async (name: string, accepted = (): void => {}): Promise<string> => {
    const client = net.connect(port, '127.0.0.1').setEncoding('utf8')
    t.after(() => client.destroy())
    client.write(`${name}\n`)
    let heard = ''
    for await (const text of client) {
      heard += text
      accepted()
      if (/ here.*\n$/.test(heard)) break
    }
    return heard
  }
  const GREETING = /^who is there\?\nhello (\w+), process (\d+) here\n$/
  const pidOf = async (name: string): Promise<number> => Number(GREETING.exec(await greeted(name))?.[2])
  let pid = await pidOf('ann')
  for (const name of ['ben', 'cleo']) {
    process.kill(pid, 'SIGSTOP') // what comes now waits for it
    let waiting: Promise<string> = Promise.resolve('')
    await new Promise<void>((resolve) => {
      waiting = greeted('waits', resolve)
    })
    process.kill(pid, 'SIGKILL')
    assert.match(await waiting, /^who is there\?\nnobody is here now: ERR_HANDOVER_(PEER_GONE|CLOSED)\n$/)
    const killed = pid
    await until('there is another', async () => {
      pid = await pidOf(name)
      return pid > 0 && pid !== killed
    })
  }
  const rude = net.connect(port, '127.0.0.1')
  await once(rude, 'data')
  rude.resetAndDestroy()
  assert.equal(await pidOf('dora'), pid)
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
  assert.equal(run.stderr(), '')
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

test('take-over: clients that ask without a pause move too, and a third program waits for its turn', async (t) => {
  const name = join(scratch(t), 'name')
  const port = await freePort()
  const start = (): Command => command(t, process.execPath, [example('take-over.mjs'), String(port), name])
  const first = start()
  await first.line(/serves port/)
  await until('the name is there', () => existsSync(name))
  const clients = Array.from({ length: 20 }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }))
  let stopped = false
  t.after(() => {
    stopped = true
    for (const agent of clients) agent.destroy()
  })
  const answeredBy: string[] = []
  const asking = clients.map(async (agent, id) => {
    let asked = 0
    while (!stopped) {
      const [pid, connection] = (await answerOf(agent, port)).split(' ')
      if (asked++ > 0) assert.equal(connection, 'reused')
      answeredBy[id] = pid as string
    }
  })
  const failed = Promise.all(asking)
  failed.catch(() => {})
  const served = (): Set<string | undefined> => new Set(Array.from(clients, (_, id) => answeredBy[id]))
  await until('all are served', () => !served().has(undefined))
  const others = [start(), start(), start()] // which of them comes first is for them to settle
  for (const one of others) await one.line(/has taken over 20 connections/)
  const ends = [first, ...others].map(({ exited }) => exited)
  let over = 0
  for (const end of ends) void end.then((code) => code === 0 && over++)
  await until('three have ended', () => over === 3)
  const last = others.find(({ child }) => child.exitCode === null) as Command
  await until('the last serves all', () => served().size === 1 && served().has(String(last.child.pid)))
  stopped = true
  await failed
  for (const one of [first, ...others]) assert.equal(one.stderr(), '')
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
