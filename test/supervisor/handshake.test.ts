import assert from 'node:assert/strict'
import type net from 'node:net'
import test, { type TestContext } from 'node:test'
import { httpRequestHead, proxyProtocol, type SupervisorOptions } from '../../src/index.js'
import { connect, get } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'
import { type Supervised, supervise } from '../support/supervised.js'
import { until } from '../support/wait.js'

const script = fixture('says-who.mjs')

interface Answer {
  worker: string
  group: string | null
  generation: number
  url: string
  remote: [string, string, number]
  local: [string, number]
  fields: [number, string][] | null
}

/** A request on a connection of its own, with something in front of it. */
async function ask(port: number, path = '/', headers = '', before: string | Buffer = ''): Promise<Answer> {
  const socket = await connect({ port })
  socket.write(Buffer.concat([Buffer.from(before), Buffer.from(request(path, headers))]))
  return await answerOn(socket)
}

function request(path: string, headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: example.com\r\n${headers}Connection: close\r\n\r\n`
}

async function answerOn(socket: net.Socket): Promise<Answer> {
  let text = ''
  for await (const chunk of socket) text += (chunk as Buffer).toString()
  const body = text.slice(text.indexOf('\r\n\r\n') + 4)
  assert.match(text, /^HTTP\/1.1 200 /)
  return JSON.parse(body.startsWith('{') ? body : (body.split('\r\n')[1] as string)) as Answer
}

function start(t: TestContext, options: Omit<SupervisorOptions, 'script'>): Promise<Supervised> {
  noLeak(t)
  return supervise(t, { script, workers: options.groups === undefined ? 2 : 0, ...options }, workersOf(options))
}

function workersOf({ workers, groups = {} }: Partial<SupervisorOptions>): number {
  const grouped = Object.values(groups).reduce((sum, group) => sum + (group.workers ?? 1), 0)
  return grouped + (workers ?? (grouped > 0 ? 0 : 2))
}

test('connections go to the group that their first bytes ask for', async (t) => {
  const { port } = await start(t, {
    groups: { api: { workers: 2 }, web: { env: { ...process.env } } },
    handshake: {
      inspect: httpRequestHead({
        routes: [
          { path: '/api', to: 'api' },
          { path: '/', to: 'web' },
        ],
      }),
    },
  })
  for (let i = 0; i < 6; i++) {
    assert.equal((await ask(port, '/api/x')).group, 'api')
    assert.equal((await ask(port, '/other')).group, 'web')
  }
})

test('what has no group goes to workers of none, and to anybody where there are none', async (t) => {
  const mixed = await start(t, { workers: 1, groups: { api: {} }, handshake: { inspect: () => ({}) } })
  for (let i = 0; i < 4; i++) assert.equal((await ask(mixed.port)).group, null)
  const grouped = await start(t, { groups: { a: {}, b: {} }, handshake: { inspect: () => ({}) } })
  const met = new Set<string | null>()
  for (let i = 0; i < 4; i++) met.add((await ask(grouped.port)).group)
  assert.deepEqual(met, new Set(['a', 'b']))
})

test('a worker knows the client that a trusted proxy names, and nobody else is believed', async (t) => {
  const { port, supervisor } = await start(t, { handshake: { inspect: proxyProtocol({ trusted: ['127.0.0.1'] }) } })
  const line = await ask(port, '/', '', 'PROXY TCP4 203.0.113.9 198.51.100.7 50123 443\r\n')
  assert.deepEqual(line.remote, ['203.0.113.9', 'IPv4', 50_123])
  assert.deepEqual(line.local, ['198.51.100.7', 443])
  assert.deepEqual(line.fields, [])
  const six = await ask(port, '/', '', 'PROXY TCP6 2001:db8::9 2001:db8::7 50123 443\r\n')
  assert.deepEqual(six.remote, ['2001:db8::9', 'IPv6', 50_123])
  const unknown = await ask(port, '/', '', 'PROXY UNKNOWN\r\n')
  assert.equal(unknown.remote[0], '127.0.0.1')
  assert.equal(unknown.fields, null)
  const binary = Buffer.from('0d0a0d0a000d0a515549540a2111001b' + 'cb007109c6336407c3cb01bb' + '02000c', 'hex')
  const named = await ask(port, '/', '', Buffer.concat([binary, Buffer.from('shop.example')]))
  assert.deepEqual(named.remote, ['203.0.113.9', 'IPv4', 50_123])
  assert.deepEqual(named.fields, [[2, 'shop.example']])
  await assert.rejects(ask(port), 'a proxy must say who comes')
  await until('that is told', () => supervisor.status().setbacks.refused === 1)

  const others = await start(t, { handshake: { inspect: proxyProtocol({ trusted: ['192.0.2.1'] }) } })
  assert.equal((await ask(others.port)).remote[0], '127.0.0.1')
  await assert.rejects(ask(others.port, '/', '', 'PROXY TCP4 203.0.113.9 198.51.100.7 50123 443\r\n'))
})

test('connections that a dead worker had not claimed keep their route and their client', async (t) => {
  const app = await start(t, {
    workers: 2,
    handshake: {
      inspect: proxyProtocol({
        trusted: ['127.0.0.1'],
        next: httpRequestHead({ routes: [{ path: '/', to: {} }], key: { header: 'x-key' } }),
      }),
    },
  })
  const line = 'PROXY TCP4 203.0.113.9 198.51.100.7 50123 443\r\n'
  const { worker } = await ask(app.port, '/', 'X-Key: a\r\n', line)
  const pid = app.pids()[Number(worker) - 1] as number
  process.kill(pid, 'SIGSTOP')
  const waiting = Array.from({ length: 5 }, () => ask(app.port, '/', 'X-Key: a\r\n', line))
  const owed = (): number => app.supervisor.status().workers.reduce((sum, one) => sum + one.unclaimed + one.queued, 0)
  await until('they are sent to the stopped worker', () => owed() === 5)
  process.kill(pid, 'SIGKILL')
  for (const answer of await Promise.all(waiting)) {
    assert.deepEqual(answer.remote, ['203.0.113.9', 'IPv4', 50_123])
    assert.notEqual(answer.worker, worker)
  }
})

test('what belongs together goes to one worker, and stays there through a reload', async (t) => {
  const { port, supervisor } = await start(t, {
    workers: 3,
    handshake: { inspect: httpRequestHead({ routes: [{ path: '/', to: {} }], key: { cookie: 'sid' } }) },
  })
  const workersOfKeys = async (): Promise<string[]> => {
    const found: string[] = []
    for (let key = 0; key < 20; key++) found.push((await ask(port, '/', `Cookie: a=b; sid=user${key}\r\n`)).worker)
    return found
  }
  const before = await workersOfKeys()
  assert.equal(new Set(before).size, 3)
  assert.deepEqual(await workersOfKeys(), before)
  await supervisor.reload()
  assert.deepEqual(await workersOfKeys(), before)
})

test('clients of one address go to one worker', async (t) => {
  const { port } = await start(t, { workers: 3, policy: 'client-address' })
  const met = new Set<string>()
  for (let i = 0; i < 6; i++) met.add((await ask(port)).worker)
  assert.equal(met.size, 1)
})

test('clients that say nothing hold no worker, and others are served meanwhile', async (t) => {
  const { port, supervisor } = await start(t, {
    workers: 1,
    maxConnections: 1,
    handshake: { inspect: httpRequestHead({ routes: [{ path: '/', to: {} }] }), undecided: 200 },
  })
  const silent = await Promise.all(Array.from({ length: 150 }, () => connect({ port })))
  for (const socket of silent) socket.on('error', () => {})
  await until('all are undecided', () => supervisor.status().undecided === 150)
  for (let i = 0; i < 5; i++) assert.equal((await ask(port)).worker, '1')
  const late = silent[0] as net.Socket
  late.write(request('/late'))
  assert.equal((await answerOn(late)).url, '/late')
  const more = await Promise.all(Array.from({ length: 100 }, () => connect({ port })))
  for (const socket of more) socket.on('error', () => {})
  await until('the oldest were given up', () => supervisor.status().setbacks['crowded out'] === 49)
  for (const socket of [...silent, ...more]) socket.destroy()
  await until('they are gone', () => supervisor.status().undecided === 0)
})

test('a connection that is decided after a reload goes to the new workers', async (t) => {
  const { port, supervisor } = await start(t, {
    handshake: { inspect: httpRequestHead({ routes: [{ path: '/', to: {} }] }) },
  })
  const socket = await connect({ port })
  socket.write('GET /half HT')
  await until('it is undecided', () => supervisor.status().undecided === 1)
  await supervisor.reload()
  socket.write('TP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n')
  const { url, generation } = await answerOn(socket)
  assert.deepEqual([url, generation], ['/half', 2])
})

test('only the ports that were named are looked at', async (t) => {
  const { port } = await start(t, { handshake: { inspect: () => ({ refuse: '' }), ports: [1] } })
  assert.equal((await get({ port })).status, 200)
})

test('a supervisor that stops closes who is undecided', async (t) => {
  const { port, supervisor } = await start(t, { handshake: { inspect: () => ({ more: 1000 }) } })
  const socket = await connect({ port })
  socket.write('x')
  await until('it is undecided', () => supervisor.status().undecided === 1)
  const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve))
  await supervisor.stop()
  await closed
  assert.equal(supervisor.status().undecided, 0)
})

test('wrong groups are named', async () => {
  const { Supervisor } = await import('../../src/index.js')
  const wrong: [object, RegExp][] = [
    [{ script, groups: 5 }, /^groups: an object of groups by their names, not 5/],
    [{ script, groups: { a: { workers: 0 } } }, /^groups.a.workers: a whole number from 1 to 1024, not 0/],
    [{ script, groups: { a: { worker: 1 } } }, /^worker: no such option/],
    [{ groups: { a: {} } }, /^script: an absolute path, not undefined/],
    [{ groups: { a: { script: 'app.js' } } }, /^groups.a.script: an absolute path/],
    [{ script, handshake: {} }, /^handshake.inspect: a function/],
  ]
  for (const [options, message] of wrong) assert.throws(() => new Supervisor(options), { message })
  assert.ok(new Supervisor({ groups: { a: { script } } }))
})
