import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, statSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { ControlClient } from '../../src/control/client.js'
import { ControlServer } from '../../src/control/server.js'
import { handoverVersion } from '../../src/control/version.js'
import { HandoverError } from '../../src/errors.js'
import { connect } from '../../src/index.js'
import { CONTROL_REQUESTS_MAX } from '../../src/limits.js'
import { dup } from '../../src/sendmsg/descriptor.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { controlled, FakeSupervisor } from '../support/controlled.js'
import { noLeak } from '../support/descriptors.js'
import { scratch } from '../support/paths.js'
import { error, openPath, peer, STRANGER, soon } from '../support/peers.js'
import { until } from '../support/wait.js'

test('a client is told who is there, which release, and what it may ask', async (t) => {
  noLeak(t)
  const { client } = await controlled(t)
  const { welcome } = await client()
  assert.deepEqual(welcome, {
    type: 'welcome',
    handover: handoverVersion,
    name: 'app',
    pid: process.pid,
    commands: ['status', 'reload', 'scale', 'drain', 'stop', 'logs', 'upgrade'],
  })
})

test('the socket is for its user alone, and goes with the server', async (t) => {
  noLeak(t)
  const { server, path } = await controlled(t)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  await server.close()
  assert.ok(!existsSync(path))
})

test('a second server of the same path is told the pid of the first; a dead one’s path is taken over', async (t) => {
  noLeak(t)
  const { server, path } = await controlled(t)
  const second = { name: 'app', path, supervisor: new FakeSupervisor() }
  await assert.rejects(
    ControlServer.open(second),
    error('ERR_HANDOVER_CONTROL', new RegExp(`process ${process.pid} runs as "app" already .*choose another --name`)),
  )
  await server.close()
  // What a killed process leaves behind: a file that nobody listens at.
  const dead = peer(t, 'listen', path)
  await dead.hears('listening')
  await dead.kill()
  assert.ok(existsSync(path))
  const next = await ControlServer.open(second)
  t.after(() => next.close())
})

test('who comes while it closes is sent away at once, and not left without an answer', async (t) => {
  noLeak(t)
  const { server, supervisor, path, client } = await controlled(t)
  const waits = (await client()).request('reload')
  waits.catch(() => {})
  await until('the reload was asked for', () => supervisor.reloads.length === 1)
  let over = false
  const closed = server.close().then(() => {
    // gives the one that waits its time
    over = true
  })
  await assert.rejects(
    ControlClient.connect(path),
    ({ code }: HandoverError) => code === 'ERR_HANDOVER_CONTROL' || code === 'ERR_HANDOVER_PEER_GONE',
  )
  assert.ok(over || existsSync(path), 'it still closes')
  await closed
})

test('a socket of another process that cannot be gone on with is closed, and its path goes', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const [path, other] = [join(folder, 'app.sock'), join(folder, 'none/app.sock')]
  const options = { name: 'app', supervisor: new FakeSupervisor() }
  for (const wrong of [{ path: other }, { name: '../app', path }, { path: join(folder, 'x'.repeat(120)) }]) {
    const port = ListeningPort.open({ path })
    const inherited = dup(port.fd)
    port.close()
    assert.ok(existsSync(path))
    await assert.rejects(ControlServer.open({ ...options, ...wrong, inherited }))
    assert.equal(inherited.fd, -1)
    assert.ok(!existsSync(path), 'nobody listens there')
  }
})

const wrong: [what: string, path: (folder: string) => string, code: string | undefined, message: RegExp][] = [
  ['too long', (folder) => join(folder, 'x'.repeat(120)), undefined, /at most 10[37] bytes.*--control <path>/],
  ['in no folder', (folder) => join(folder, 'none/app.sock'), 'ERR_HANDOVER_CONTROL', /no such folder.*--no-control/],
  ['a file', () => '/etc/hosts', 'ERR_HANDOVER_CONTROL', /somebody listens|--control <path>/],
]
for (const [what, path, code, message] of wrong) {
  test(`a path that is ${what}: one line that says what to do`, async (t) => {
    const opened = ControlServer.open({ name: 'app', path: path(scratch(t)), supervisor: new FakeSupervisor() })
    await assert.rejects(opened, (thrown: Error & { code?: string }) => {
      assert.equal(thrown.code, code)
      assert.match(thrown.message, message)
      assert.ok(!thrown.message.includes('\n'))
      return true
    })
  })
}

test('a name that is none is refused before anything is made', async () => {
  for (const name of ['', '../x', 'a b', '.hidden', '-x', 'x'.repeat(65)]) {
    await assert.rejects(ControlServer.open({ name, path: '/nowhere/x', supervisor: new FakeSupervisor() }), TypeError)
  }
})

test('another user is told nothing, and the server says who it was', { skip: process.getuid?.() !== 0 }, async (t) => {
  noLeak(t)
  const path = openPath(t, 'app.sock')
  const refused: string[] = []
  const server = await ControlServer.open({
    name: 'app',
    path,
    supervisor: new FakeSupervisor(),
    onRefused: (reason) => refused.push(reason),
  })
  t.after(() => server.close())
  const shut = peer(t, 'connect', path, { user: STRANGER })
  assert.equal((await shut.hears<{ code: string }>('failed')).code, 'EACCES')
  chmodSync(path, 0o666) // as if somebody had opened the file
  const open = peer(t, 'connect', path, { user: STRANGER })
  assert.equal((await open.hears<{ code: string }>('failed')).code, 'ERR_HANDOVER_NO_HELLO')
  assert.match(refused.join(), new RegExp(`user ${STRANGER}.* is not let in`))
})

const requests: [what: string, message: unknown, answer: object][] = [
  ['nothing', null, { id: null, exit: 100 }],
  ['a list', [1, 2], { id: null, exit: 100 }],
  ['a word', 'stop', { id: null, exit: 100 }],
  ['no type', { id: 1, command: 'stop' }, { id: 1, exit: 100 }],
  ['no number', { type: 'request', command: 'stop' }, { id: null, exit: 100 }],
  ['a number that is none', { type: 'request', id: 1.5, command: 'stop' }, { id: null, exit: 100 }],
  ['no command', { type: 'request', id: 2 }, { id: 2, exit: 100 }],
  ['options that are none', { type: 'request', id: 3, command: 'stop', options: [] }, { id: 3, exit: 100 }],
  [
    'a command nobody knows',
    { type: 'request', id: 4, command: 'fly' },
    { code: 'ERR_HANDOVER_UNSUPPORTED', exit: 100 },
  ],
  ['a name of every object', { type: 'request', id: 5, command: 'constructor' }, { code: 'ERR_HANDOVER_UNSUPPORTED' }],
  ['__proto__', JSON.parse('{"type":"request","id":6,"command":"__proto__"}'), { code: 'ERR_HANDOVER_UNSUPPORTED' }],
  ['an unknown option', { type: 'request', id: 7, command: 'reload', options: { fast: 1 } }, { code: 'TypeError' }],
  [
    'an option out of range',
    { type: 'request', id: 8, command: 'logs', options: { lines: -1 } },
    { code: 'RangeError' },
  ],
  ['variables that are none', { type: 'request', id: 9, command: 'reload', options: { env: { A: 1 } } }, { exit: 100 }],
  [
    'a variable with a zero',
    { type: 'request', id: 10, command: 'reload', options: { env: { A: '\0' } } },
    { exit: 100 },
  ],
  ['a worker that is not there', { type: 'request', id: 11, command: 'drain', options: { worker: 9 } }, { exit: 100 }],
]
for (const [what, message, wanted] of requests) {
  test(`a request with ${what} is answered as failed, and does nothing`, async (t) => {
    noLeak(t)
    const { path, supervisor } = await controlled(t)
    const channel = await connect(path)
    t.after(() => channel.close())
    await channel.receive()
    await channel.send(message)
    const answer = (await channel.receive<Record<string, unknown>>())?.message as Record<string, unknown>
    assert.equal(answer.type, 'failed')
    for (const [name, value] of Object.entries(wanted)) assert.equal(answer[name], value, name)
    assert.deepEqual(supervisor.asked, [])
  })
}

test('things are not taken, only words', async (t) => {
  noLeak(t)
  const { path } = await controlled(t)
  const channel = await connect(path)
  t.after(() => channel.close())
  const listening = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => listening.once('listening', resolve))
  t.after(() => new Promise((resolve) => listening.close(resolve)))
  await assert.rejects(channel.send({ type: 'request', id: 1, command: 'status' }, [listening]), {
    code: 'ERR_HANDOVER_REFUSED',
  })
})

test('any bytes at all leave the server as it was', async (t) => {
  noLeak(t)
  const { path, client } = await controlled(t)
  for (let round = 0; round < 20; round++) {
    const socket = net.connect(path)
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('connect', resolve))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.resume().end(randomBytes(1 + round * 97))
    await soon(closed, 'the server closes it')
  }
  assert.equal((await (await client()).request<{ name: string }>('status')).name, 'app')
})

test('a client that vanishes during a reload does not stop it; others hear their own answers meanwhile', async (t) => {
  noLeak(t)
  const { supervisor, client } = await controlled(t)
  const [first, second] = [await client(), await client()]
  const lost = first.request('reload')
  lost.catch(() => {})
  await until('the reload was asked for', () => supervisor.reloads.length === 1)
  first.close()
  await assert.rejects(lost, { code: 'ERR_HANDOVER_PEER_GONE' })
  assert.equal((await second.request<{ name: string }>('status')).name, 'app')
  supervisor.emit('reloading', { generation: 2 })
  supervisor.reloads[0]?.resolve({ generation: 2 })
  const steps: string[] = []
  const next = second.request('reload', {}, ({ event }) => steps.push(event))
  await until('the next one was asked for', () => supervisor.reloads.length === 2)
  supervisor.emit('reloading', { generation: 3 })
  supervisor.reloads[1]?.resolve({ generation: 3 })
  assert.deepEqual(await next, { generation: 3 })
  assert.deepEqual(steps, ['reloading'])
})

test('each of two reloads is told its own steps, and the second that it waits', async (t) => {
  noLeak(t)
  const { supervisor, client } = await controlled(t)
  const steps: string[][] = [[], []]
  const asked = async (index: number): Promise<unknown> =>
    (await client()).request('reload', {}, ({ event, generation }) =>
      steps[index]?.push(`${event} ${generation ?? ''}`),
    )
  const first = asked(0)
  await until('the first was asked for', () => supervisor.reloads.length === 1)
  supervisor.emit('reloading', { generation: 2 })
  const second = asked(1)
  second.catch(() => {}) // its answer may come before that of the first
  await until('the second was asked for', () => supervisor.reloads.length === 2)
  supervisor.emit('ready', { generation: 2, worker: 1, pid: 5 })
  supervisor.emit('ready', { generation: 1, worker: 1, pid: 4 })
  supervisor.emit('switched', { generation: 2, previous: 1 })
  supervisor.emit('reloading', { generation: 3 })
  supervisor.emit('ended', { generation: 1, worker: 1, pid: 4 })
  supervisor.emit('ready', { generation: 3, worker: 1, pid: 6 })
  supervisor.reloads[0]?.resolve({ generation: 2 })
  const failure = new HandoverError('ERR_HANDOVER_WORKERS_FAILED', 'worker 1 ended')
  supervisor.reloads[1]?.reject(Object.assign(failure, { output: [{ worker: 1, text: 'no such table' }] }))
  assert.deepEqual(await first, { generation: 2 })
  await assert.rejects(second, (failed: { code: string; exit: number; output: string[]; hint: string }) => {
    assert.equal(failed.code, 'ERR_HANDOVER_WORKERS_FAILED')
    assert.equal(failed.exit, 1)
    assert.deepEqual(failed.output, ['[1] no such table'])
    return true
  })
  assert.deepEqual(steps[0], ['reloading 2', 'ready 2', 'switched 2', 'ended 1'])
  assert.deepEqual(steps[1], ['queued ', 'reloading 3', 'ready 3'])
})

test('what waits for old workers alone is answered when another process has them, with its pid', async (t) => {
  noLeak(t)
  const { supervisor, client } = await controlled(t)
  const act = async (...asked: unknown[]): Promise<void> => {
    supervisor.asked.push(asked)
    await new Promise(() => {})
  }
  Object.assign(supervisor, { scale: (n: number) => act('scale', n), replace: (n: number) => act('replace', n) })
  const one = await client()
  const asked = [one.request('reload'), one.request('scale', { workers: 1 }), one.request('drain', { worker: 1 })]
  await until('all were asked for', () => supervisor.asked.length === 3)
  supervisor.emit('reloading', { generation: 2 })
  supervisor.emit('switched', { generation: 2, previous: 1 })
  supervisor.emit('succeeded', { pid: 4711 })
  assert.deepEqual(await Promise.all(asked), [
    { generation: 2, finishUnder: 4711 },
    { finishUnder: 4711 },
    { finishUnder: 4711 },
  ])
})

test('a reload that supersedes gets the next turn, and not those that were before it in line', async (t) => {
  noLeak(t)
  const { supervisor, client } = await controlled(t)
  const steps: string[][] = [[], [], []]
  const one = await client()
  const asked = steps.map((heard, index) =>
    one.request('reload', { supersede: index === 2 }, ({ event, generation }) =>
      heard.push(`${event} ${generation ?? ''}`),
    ),
  )
  for (const each of asked) each.catch(() => {})
  await until('all were asked for', () => supervisor.reloads.length === 3)
  supervisor.emit('reloading', { generation: 2 })
  supervisor.reloads[2]?.resolve({ generation: 2 })
  for (const index of [0, 1]) supervisor.reloads[index]?.reject(new Error('superseded'))
  assert.deepEqual(await asked[2], { generation: 2 })
  for (const index of [0, 1]) await assert.rejects(asked[index] as Promise<unknown>, { message: 'superseded', exit: 1 })
  assert.deepEqual(steps, [[], ['queued '], ['queued ', 'reloading 2']])
})

test('a reload of the process itself, as of its page, has its turn among those of clients', async (t) => {
  noLeak(t)
  const { server, supervisor, client } = await controlled(t)
  const own = server.reload({ healthWindow: 0 })
  const steps: string[] = []
  const asked = (await client()).request('reload', {}, ({ event, generation }) =>
    steps.push(`${event} ${generation ?? ''}`),
  )
  await until('both were asked for', () => supervisor.reloads.length === 2)
  supervisor.emit('reloading', { generation: 2 })
  supervisor.emit('rolledBack', { generation: 2, to: 1 })
  supervisor.reloads[0]?.reject(new Error('the own one failed'))
  await assert.rejects(own, { message: 'the own one failed' })
  supervisor.emit('reloading', { generation: 3 })
  supervisor.reloads[1]?.resolve({ generation: 3 })
  assert.deepEqual(await asked, { generation: 3 })
  assert.deepEqual(steps, ['queued ', 'reloading 3'])
})

test('variables are laid over those that workers have when it is their turn, or over the client’s own', async (t) => {
  noLeak(t)
  const { supervisor, client } = await controlled(t)
  const one = await client()
  const reload = async (options: object): Promise<unknown> => {
    const count = supervisor.reloads.length
    const done = one.request('reload', options)
    await until('it was asked for', () => supervisor.reloads.length > count)
    supervisor.reloads.at(-1)?.resolve({ generation: 2 })
    await done
    const [, asked] = supervisor.asked.at(-1) as [string, { env?: (env: object) => object }]
    return asked.env?.({ A: '1', B: '1' })
  }
  assert.deepEqual(await reload({ env: { B: '2' } }), { A: '1', B: '2' })
  assert.deepEqual(await reload({ environment: { D: '4' }, env: { E: '5' } }), { D: '4', E: '5' })
  assert.equal(await reload({}), undefined)
})

test('a reload that is not waited for is accepted at once; one that cannot be made fails at once', async (t) => {
  noLeak(t)
  const { supervisor, client } = await controlled(t)
  const one = await client()
  assert.deepEqual(await one.request('reload', { wait: false }), { accepted: true })
  supervisor.reloads[0]?.reject(new Error('later'))
  supervisor.reload = async () => {
    throw new TypeError('script: there is no file /x')
  }
  await assert.rejects(one.request('reload', { wait: false }), { message: 'script: there is no file /x', exit: 100 })
})

test('what a supervisor lacks is answered as not supported', async (t) => {
  const { client } = await controlled(t)
  const one = await client()
  const missing = { code: 'ERR_HANDOVER_UNSUPPORTED', exit: 100 }
  await assert.rejects(one.request('scale', { workers: 2 }), missing)
  await assert.rejects(one.request('drain', { worker: 1 }), missing)
})

test('scale and drain ask the supervisor, and tell of workers that come and go', async (t) => {
  const supervisor = Object.assign(new FakeSupervisor(), {
    async scale(workers: number, group?: string) {
      supervisor.asked.push(['scale', workers, group])
      supervisor.emit('ready', { worker: 2, pid: 5, generation: 1 })
    },
    async replace(worker: number) {
      supervisor.asked.push(['replace', worker])
    },
  })
  const { client } = await controlled(t, { supervisor })
  const one = await client()
  const steps: unknown[] = []
  await one.request('scale', { workers: 2, group: 'a' }, ({ event, worker }) => steps.push([event, worker]))
  await one.request('drain', { worker: 1 })
  assert.deepEqual(steps, [['ready', 2]])
  assert.deepEqual(supervisor.asked, [
    ['scale', 2, 'a'],
    ['replace', 1],
  ])
  assert.equal(supervisor.listenerCount('cut'), 0, 'nobody listens on')
})

test('one client asks so much at once and no more', async (t) => {
  const { client, supervisor } = await controlled(t)
  const one = await client()
  const many = Array.from({ length: CONTROL_REQUESTS_MAX }, () => one.request('reload'))
  for (const each of many) each.catch(() => {})
  await until('they run', () => supervisor.reloads.length === CONTROL_REQUESTS_MAX)
  await assert.rejects(one.request('status'), /asked too much at once/)
  supervisor.reloads[0]?.resolve({ generation: 2 })
  await many[0]
  await one.request('status')
})

test('closing answers what is asked, ends who follows, and takes nobody in any more', async (t) => {
  noLeak(t)
  const { client, server, supervisor } = await controlled(t)
  const one = await client()
  const followed = one.request('logs', { follow: true })
  const reloaded = (await client()).request('reload')
  await until('it was asked for', () => supervisor.reloads.length === 1)
  const closed = server.close()
  supervisor.reloads[0]?.resolve({ generation: 2 })
  await closed
  assert.deepEqual(await followed, {})
  assert.deepEqual(await reloaded, { generation: 2 })
  await one.ended
  assert.equal(supervisor.listenerCount('ready'), 0)
})
