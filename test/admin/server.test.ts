/** A supervisor is seen from outside: by probes, by its status, and by whoever may ask for a reload. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import test, { type TestContext } from 'node:test'
import { AdminServer, AgentCheck, adminAddress, newToken } from '../../src/admin/index.js'
import { admin, askAt, TOKEN } from '../support/admin.js'
import { noLeak } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'
import { freePort } from '../support/programs.js'
import { supervise } from '../support/supervised.js'

const two = (t: TestContext) => supervise(t, { script: fixture('http-pid.mjs'), workers: 2 })

test('probes say whether it lives and whether it takes connections, and why not', async (t) => {
  noLeak(t)
  const { supervisor } = await two(t)
  const { ask } = await admin(t, supervisor)
  assert.deepEqual([(await ask('/livez')).status, (await ask('/readyz')).status], [200, 200])
  await supervisor.stop()
  const { status, text } = await ask('/readyz')
  assert.equal(status, 503)
  assert.match(text, /no worker/)
  assert.equal((await ask('/livez')).status, 200)
})

test('without a token it is read-only, and answers under names of this machine alone', async (t) => {
  const { supervisor } = await two(t)
  const { ask } = await admin(t, supervisor)
  const { status, text } = await ask('/status')
  assert.equal(status, 200)
  const { workers, canReload } = JSON.parse(text) as { workers: object[]; canReload: boolean }
  assert.deepEqual([workers.length, canReload], [2, false])
  const refused = await ask('/reload', { method: 'POST' })
  assert.deepEqual([refused.status, /no token/.test(refused.text)], [403, true])
  for (const path of ['/status', '/metrics', '/livez', '/readyz', '/events']) {
    assert.equal((await ask(path, { headers: { host: 'rebound.example' } })).status, 403, path)
  }
})

test('an address that others reach needs a token', async (t) => {
  const { supervisor } = await two(t)
  for (const host of ['0.0.0.0', '::', '192.0.2.1']) {
    assert.throws(() => new AdminServer(supervisor, { host, port: 0 }), /^TypeError: token: needed to listen on/)
    await new AdminServer(supervisor, { host, port: 0, token: newToken() }).stop()
  }
  assert.throws(() => new AdminServer(supervisor, { port: 0, token: 'short' }), /token: at least 16 characters, not 5/)
  assert.throws(() => new AdminServer(supervisor, { port: 0, protectMetrics: true }), /token: needed/)
})

test('with a token nothing but probes and metrics is shown to others', async (t) => {
  const { supervisor } = await two(t)
  const { ask, port } = await admin(t, supervisor, { token: TOKEN })
  for (const path of ['/livez', '/readyz', '/metrics']) assert.equal((await ask(path)).status, 200, path)
  for (const path of ['/', '/status', '/events', `/?token=${TOKEN}x`]) {
    for (const token of [undefined, `${TOKEN}x`, TOKEN.slice(1)]) {
      assert.equal(
        (await ask(path, token === undefined ? {} : { token })).status,
        path.includes('?') || token !== TOKEN ? 401 : 200,
        path,
      )
    }
  }
  assert.equal((await ask('/status', { token: TOKEN })).status, 200)
  const signed = await ask(`/?token=${TOKEN}`)
  const [cookie = ''] = signed.headers['set-cookie'] ?? []
  assert.match(cookie, /^handover_admin_\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/)
  assert.ok(!cookie.includes(TOKEN))
  const headers = { cookie: cookie.split(';')[0] as string }
  assert.equal((await ask('/status', { headers })).status, 200)
  // A browser says where it comes from; what does not say so had better have the token itself.
  const post = (more: object) => ask('/reload', { method: 'POST', headers: { ...headers, ...more } })
  assert.equal((await post({})).status, 403)
  assert.equal((await post({ origin: 'http://other.example' })).status, 403)
  assert.equal((await post({ origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'cross-site' })).status, 403)
  assert.equal((await post({ origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' })).status, 200)
})

test('metrics and probes are the token’s too, if that is asked for', async (t) => {
  const { supervisor } = await two(t)
  const { ask } = await admin(t, supervisor, { token: TOKEN, protectMetrics: true })
  for (const path of ['/livez', '/readyz', '/metrics']) {
    assert.deepEqual([(await ask(path)).status, (await ask(path, { token: TOKEN })).status], [401, 200], path)
  }
})

test('a reload answers what became of it, and step by step to who wants that', async (t) => {
  noLeak(t)
  const { supervisor } = await two(t)
  const { ask } = await admin(t, supervisor, { token: TOKEN })
  const reload = (body?: string, headers = {}) =>
    ask('/reload', { method: 'POST', token: TOKEN, headers, ...(body !== undefined && { body }) })
  const plain = await reload()
  assert.deepEqual([plain.status, JSON.parse(plain.text)], [200, { generation: 2 }])
  const lines = await reload('{"milliseconds": 30000}', { accept: 'application/x-ndjson' })
  const events = lines.text
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { event: string }).event)
  const steps = events.filter((event) => !['started', 'ended'].includes(event))
  const known = ['reloading', 'ready', 'ready', 'switched', 'reloaded', 'done']
  assert.deepEqual(
    steps.filter((step) => known.includes(step)),
    known,
  )
  for (const [body, wrong] of [
    ['{"script":"/tmp/evil.js"}', /script: no such option here/],
    ['[1]', /body: an object/],
    ['{', /body: JSON/],
    ['{"milliseconds":-1}', /milliseconds/],
    [`"${'x'.repeat(9000)}"`, /body: at most/],
  ] as const) {
    const { status, text } = await reload(body)
    assert.deepEqual([status, wrong.test(text)], [400, true], text)
  }
})

test('a reload during another is refused, unless it is to wait', async (t) => {
  const { supervisor } = await two(t)
  const { ask, metrics } = await admin(t, supervisor, { token: TOKEN })
  const reload = (body = '') => ask('/reload', { method: 'POST', token: TOKEN, body })
  const reloading = once(supervisor, 'reloading')
  const first = reload()
  await reloading
  const [refused, queued] = await Promise.all([reload(), reload('{"queue":true}')])
  assert.equal(refused.status, 409)
  assert.deepEqual(JSON.parse((await first).text), { generation: 2 })
  assert.deepEqual(JSON.parse(queued.text), { generation: 3 })
  assert.equal((await metrics()).get('handover_reloads_total')?.values.get('result="done"'), 2)
})

test('it takes few methods, short heads and no other paths', async (t) => {
  const { supervisor } = await two(t)
  const { ask } = await admin(t, supervisor, { token: TOKEN })
  assert.deepEqual([(await ask('/nothing')).status, (await ask('//')).status], [404, 404])
  const wrong = await ask('/reload', { token: TOKEN })
  assert.deepEqual([wrong.status, wrong.headers.allow], [405, 'POST'])
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
    assert.equal((await ask('/metrics', { method })).status, 405)
  assert.equal((await ask('/metrics', { headers: { long: 'x'.repeat(20_000) } })).status, 431)
  const head = await ask('/metrics', { method: 'HEAD' })
  assert.deepEqual([head.status, head.text], [200, ''])
})

test('pages that watch hear the status and what happens, as it happens', async (t) => {
  noLeak(t)
  const { supervisor, pids } = await two(t)
  const { port } = await admin(t, supervisor, { token: TOKEN })
  const request = http.get({
    host: '127.0.0.1',
    port,
    path: '/events',
    agent: false,
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  response.setEncoding('utf8')
  let text = ''
  const [victim] = pids()
  for await (const part of response) {
    if (text === '') process.kill(victim as number, 'SIGKILL')
    text += part
    if (/event: note\ndata: .*"event":"ended"/.test(text) && (text.match(/event: status/g) ?? []).length > 1) break
  }
  assert.match(text, /^retry: 1000\n\nevent: history\n/)
  assert.match(text, new RegExp(`"event":"ended","text":"worker 1, pid ${victim}, generation 1, signal SIGKILL`))
})

test('what it does not stand costs connections of its own alone', async (t) => {
  noLeak(t)
  const { supervisor, port: served } = await two(t)
  const { port, ask } = await admin(t, supervisor)
  const idle = Array.from({ length: 80 }, () => net.connect(port, '127.0.0.1').on('error', () => {}))
  t.after(() => idle.forEach((socket) => void socket.destroy()))
  await Promise.all(idle.slice(64).map((socket) => (socket.destroyed ? null : once(socket, 'close'))))
  assert.equal((await askAt(served, '/')).status, 200)
  idle.forEach((socket) => void socket.destroy())
  await Promise.all(idle.map((socket) => (socket.closed ? null : once(socket, 'close'))))
  let status = 0
  while (status !== 200)
    status = await ask('/livez').then(
      (answer) => answer.status,
      () => 0,
    )
})

test('a port that is taken is an error that says which', async (t) => {
  const { supervisor } = await two(t)
  const port = await freePort()
  await admin(t, supervisor, { port })
  await assert.rejects(new AdminServer(supervisor, { port }).start(), {
    code: 'EADDRINUSE',
    address: '127.0.0.1',
    port,
  })
})

test('a start that failed leaves nothing behind: tried again, it tells pages the status once a second', async (t) => {
  noLeak(t)
  const { supervisor } = await two(t)
  const taken = net.createServer().listen(0, '127.0.0.1')
  t.after(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as net.AddressInfo
  const server = new AdminServer(supervisor, { port })
  const agent = new AgentCheck(supervisor, { port })
  t.after(() => server.stop())
  for (let nth = 0; nth < 3; nth++) {
    for (const one of [server, agent]) await assert.rejects(one.start(), { code: 'EADDRINUSE', port })
  }
  taken.close()
  await once(taken, 'close')
  assert.equal((await agent.start()).port, port)
  await agent.stop()
  assert.deepEqual(await server.start(), { host: '127.0.0.1', port })
  const request = http.get({ host: '127.0.0.1', port, path: '/events', agent: false })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const [first] = (await once(response.setEncoding('utf8'), 'data')) as [string]
  const { samples } = JSON.parse(/event: history\ndata: (.*)/.exec(first)?.[1] ?? '{}') as { samples: number[][] }
  request.destroy()
  const times = samples.map(([at]) => at as number)
  assert.ok(times.length > 0)
  assert.ok(
    times.every((at, nth) => nth === 0 || at - (times[nth - 1] as number) > 100),
    `${times}: one beat after the other`,
  )
})

test('a reload is made by whoever is to make it', async (t) => {
  const { supervisor } = await two(t)
  const asked: object[] = []
  const reload = async (options: object) => {
    asked.push(options)
    return { generation: 7 }
  }
  const { ask } = await admin(t, supervisor, { token: TOKEN, reload })
  const { text } = await ask('/reload', { method: 'POST', token: TOKEN, body: '{"milliseconds":5000}' })
  assert.deepEqual([JSON.parse(text), asked], [{ generation: 7 }, [{ milliseconds: 5000 }]])
  assert.throws(() => new AdminServer(supervisor, { port: 0, reload: 1 as never }), /^TypeError: reload: a function/)
})

test('an address is a port, or a host and a port', () => {
  assert.deepEqual(adminAddress('9100'), { host: '127.0.0.1', port: 9100 })
  assert.deepEqual(adminAddress('0.0.0.0:1'), { host: '0.0.0.0', port: 1 })
  assert.deepEqual(adminAddress('[::1]:65535'), { host: '::1', port: 65_535 })
  assert.deepEqual(adminAddress('localhost:0'), { host: 'localhost', port: 0 })
  for (const wrong of ['', ':1', 'a:1', '65536', '1:2:3', '[::1]', '::1:9', '127.0.0.1', '[x]:1', '1 ']) {
    assert.throws(() => adminAddress(wrong), RangeError, wrong)
  }
})
