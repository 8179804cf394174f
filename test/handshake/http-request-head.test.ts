import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net, { type AddressInfo } from 'node:net'
import test, { type TestContext } from 'node:test'
import { refuse } from '../../src/handshake/destination.js'
import { type HttpRequestHeadOptions, httpRequestHead } from '../../src/handshake/http-request-head.js'
import type { HttpRoute } from '../../src/handshake/http-route.js'
import type { Inspect, Refusal, Verdict } from '../../src/handshake/verdict.js'
import { HTTP_HEAD_BYTES_MAX } from '../../src/limits.js'
import { inspected, lawfulVerdict } from '../support/first-bytes.js'
import { head, PREFACE, request } from '../support/heads.js'

const say = (inspect: Inspect, bytes: Buffer): Verdict => lawfulVerdict(inspect, bytes, HTTP_HEAD_BYTES_MAX)
const routed = (routes: HttpRoute[], bytes: Buffer): Verdict =>
  say(httpRequestHead({ routes, otherwise: 'otherwise' }), bytes)
/** What is said to the client, in its first line. */
const said = (verdict: Verdict): string => String((verdict as Refusal).refuse).split('\r\n')[0] as string

test('a path leads by whole segments, and is not dodged by how it is written', () => {
  const routes: HttpRoute[] = [{ path: '/api', to: 'api' }]
  for (const path of [
    '/api',
    '/api/',
    '/api/x',
    '/api?q',
    '/api/?q',
    '/%61pi',
    '/%61p%69/x',
    '//api',
    '/api//x',
    'http://example.com/api',
  ]) {
    assert.deepEqual(routed(routes, request(path)), { group: 'api' }, path)
  }
  for (const path of ['/', '/apix', '/ap', '/x/api', '/?/api', '/api%2Fx', '/API', '/api.x', '/%2561pi']) {
    assert.deepEqual(routed(routes, request(path)), { group: 'otherwise' }, path)
  }
  for (const path of ['/x/../api', '/./api', '/x/%2e%2e/api', '/x\\..\\api', '/api/..']) {
    assert.equal(said(routed(routes, request(path))), 'HTTP/1.1 400 Bad Request', path)
  }
})

test('a path of a route may end in a slash, and be escaped', () => {
  for (const path of ['/api/', '/%61pi', '//api']) {
    assert.deepEqual(routed([{ path, to: 'api' }], request('/api')), { group: 'api' }, path)
  }
  assert.deepEqual(routed([{ path: '/', to: 'all' }, { to: 'none' }], request('/x')), { group: 'all' })
  assert.deepEqual(routed([{ path: '/', to: 'all' }], head('OPTIONS * HTTP/1.1', 'Host: a')), { group: 'otherwise' })
  const connect = head('CONNECT a:1 HTTP/1.1', 'Host: a:1')
  assert.deepEqual(routed([{ path: '/', to: 'all' }], connect), { group: 'otherwise' })
  assert.deepEqual(routed([{ path: '/a%2fb', to: 'x' }], request('/a%2Fb/c')), { group: 'x' })
})

test('the most specific route counts: host, then path, then conditions, then the first', () => {
  const routes: HttpRoute[] = [
    { to: 'any' },
    { path: '/very/long/path', to: 'long' },
    { host: '*.example.com', path: '/a/b', to: 'wildcard' },
    { host: 'www.example.com', to: 'exact' },
    { host: 'www.example.com', path: '/a', to: 'exact-a' },
    { host: 'WWW.example.com.', path: '/a/', method: 'POST', to: 'exact-a-post' },
    { host: 'www.example.com', path: '/a', header: { name: 'X-Y' }, to: 'exact-a-header' },
    { host: 'www.example.com', path: '/a', header: { name: 'x-y', value: '1' }, method: 'POST', to: 'exact-a-both' },
    { to: 'later' },
  ]
  for (const [bytes, group] of [
    [request('/', 'www.example.com'), 'exact'],
    [request('/very/long/path', 'www.example.com'), 'exact'],
    [request('/a/b', 'www.example.com'), 'exact-a'],
    [request('/a/b', 'x.example.com'), 'wildcard'],
    [request('/a/b', 'x.y.example.com'), 'any'],
    [request('/a/x', 'x.example.com'), 'any'],
    [request('/very/long/path/x', 'x.example.com'), 'long'],
    [head('POST /a HTTP/1.1', 'Host: www.example.com:8080'), 'exact-a-post'],
    [head('POST /a HTTP/1.1', 'Host: www.example.com', 'X-Y: 2'), 'exact-a-post'],
    [head('POST /a HTTP/1.1', 'Host: www.example.com', 'X-Y: 1'), 'exact-a-both'],
    [request('/a', 'www.example.com', 'x-y:'), 'exact-a-header'],
    [head('GET / HTTP/1.0'), 'any'],
  ] as const) {
    assert.deepEqual(routed(routes, bytes), { group }, bytes.toString())
  }
})

test('headers and cookies, by being there or by value; several of a header are joined', () => {
  const header: HttpRoute[] = [
    { header: { name: 'Upgrade', value: 'websocket' }, to: 'ws' },
    { header: { name: 'X-Both', value: '1, 2' }, to: 'both' },
    { cookie: { name: 'beta', value: 'on' }, to: 'beta' },
    { cookie: { name: 'seen' }, to: 'seen' },
  ]
  for (const [lines, group] of [
    [['upgrade: websocket'], 'ws'],
    [['Upgrade: WebSocket'], 'otherwise'],
    [['Upgrade: h2c'], 'otherwise'],
    [['X-Both: 1', 'x-both:2'], 'both'],
    [['Cookie: a=b; beta=on'], 'beta'],
    [['Cookie: beta=off; beta=on'], 'otherwise'],
    [['Cookie: Seen=1'], 'otherwise'],
    [['Cookie: seen='], 'seen'],
  ] as const) {
    assert.deepEqual(routed(header, request('/', 'a', ...lines)), { group }, lines.join())
  }
})

test('IPv6 hosts are the same in every way of writing them', () => {
  for (const host of ['[2001:db8::1]', '2001:DB8:0::1']) {
    assert.deepEqual(routed([{ host, to: 'six' }], request('/', '[2001:db8:0:0::1]:80')), { group: 'six' })
  }
})

test('HTTP/2 leads where a version or no condition at all does', () => {
  assert.deepEqual(routed([{ version: '2', to: 'two' }, { to: 'any' }], PREFACE), { group: 'two' })
  assert.deepEqual(routed([{ to: 'any' }], PREFACE), { group: 'any' })
  assert.deepEqual(routed([{ path: '/', to: 'x' }], PREFACE), { group: 'otherwise' })
  const conditions: Omit<HttpRoute, 'to'>[] = [
    { host: 'a' },
    { method: 'GET' },
    { header: { name: 'a' } },
    { cookie: { name: 'a' } },
  ]
  for (const one of conditions) assert.deepEqual(routed([{ ...one, to: 'x' }], PREFACE), { group: 'otherwise' })
  assert.deepEqual(routed([{ version: '1.1', to: 'x' }], request('/')), { group: 'x' })
  assert.deepEqual(routed([{ version: '1.1', to: 'x' }], head('GET / HTTP/1.0')), { group: 'otherwise' })
  const keyed = httpRequestHead({ routes: [{ to: 'a' }], key: [(seen) => seen.path, 'address'] })
  assert.deepEqual(say(keyed, PREFACE), { group: 'a', key: '192.0.2.7/32' })
})

test('the first line suffices where nothing asks for more', () => {
  const line = Buffer.from('GET /api HTTP/1.1\r\n')
  const first: HttpRequestHeadOptions[] = [
    { routes: [{ path: '/api', method: 'GET', version: '1.1', to: 'api' }] },
    { routes: [{ to: 'api' }], key: 'address' },
    { routes: [{ to: 'api' }], key: [{ query: 'x' }, { address: { v4: 0 } }] },
  ]
  for (const options of first) {
    const verdict = say(httpRequestHead(options), line)
    assert.equal((verdict as { group?: string }).group, 'api')
  }
  const more: HttpRequestHeadOptions[] = [
    { routes: [{ host: 'a', to: 'api' }] },
    { routes: [{ header: { name: 'x' }, to: 'api' }] },
    { routes: [{ cookie: { name: 'x' }, to: 'api' }] },
    ...(
      [{ cookie: 'x' }, { header: 'x' }, () => 'x', ['address', { header: 'x' }]] as HttpRequestHeadOptions['key'][]
    ).map((key) => ({ routes: [{ to: 'api' }], ...(key === undefined ? {} : { key }) })),
  ]
  for (const options of more) assert.ok('more' in say(httpRequestHead(options), line))
})

test('what leads nowhere is answered: 404, 421 for a host that is not known, 400 and 431; or goes otherwise', () => {
  const paths = httpRequestHead({ routes: [{ path: '/a', to: 'a' }] })
  assert.equal(said(say(paths, request('/'))), 'HTTP/1.1 404 Not Found')
  const hosts = httpRequestHead({
    routes: [
      { host: '*.b.example', path: '/b', to: 'b' },
      { path: '/a', to: 'a' },
    ],
  })
  assert.equal(said(say(hosts, request('/', 'x.b.example'))), 'HTTP/1.1 404 Not Found')
  assert.equal(said(say(hosts, request('/', 'b.example'))), 'HTTP/1.1 421 Misdirected Request')
  assert.equal((say(hosts, request('/', 'c.example')) as Refusal).reason, 'unknown host c.example')
  assert.equal(said(say(hosts, head('GET / HTTP/1.0'))), 'HTTP/1.1 421 Misdirected Request')
  assert.equal(said(say(hosts, request('/', null))), 'HTTP/1.1 400 Bad Request')
  assert.equal(said(say(hosts, Buffer.from('\x16\x03\x01'))), 'HTTP/1.1 400 Bad Request')
  const endless = Buffer.from(`GET / HTTP/1.1\r\nX: ${'x'.repeat(HTTP_HEAD_BYTES_MAX)}`)
  assert.equal(said(hosts(endless, inspected())), 'HTTP/1.1 431 Request Header Fields Too Large')
  const custom = httpRequestHead({ routes: [], otherwise: refuse('no', 'because') })
  assert.deepEqual(say(custom, request('/')), { refuse: 'no', reason: 'because' })
})

/** A server that says `bytes` to everybody, and its port. */
async function says(t: TestContext, bytes: string | Uint8Array): Promise<number> {
  const server = net.createServer((socket) => {
    socket
      .on('error', () => {})
      .resume()
      .end(bytes)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

test("a client of Node's understands the answers, HTTP/1 and 2", async (t) => {
  const inspect = httpRequestHead({ routes: [{ host: 'a.example', to: 'a' }] })
  const port = await says(t, (say(inspect, request('/')) as Refusal).refuse)
  const [response] = (await once(http.get({ port, host: '127.0.0.1', agent: false }), 'response')) as [
    http.IncomingMessage,
  ]
  assert.deepEqual(
    [response.statusCode, response.headers.connection, response.headers['content-length']],
    [421, 'close', '0'],
  )
  response.resume()
  await once(response, 'end')
  const session = http2.connect(`http://127.0.0.1:${await says(t, (say(inspect, PREFACE) as Refusal).refuse)}`)
  session.on('error', () => {})
  const [code, last] = await once(session, 'goaway')
  assert.deepEqual([code, last], [http2.constants.NGHTTP2_HTTP_1_1_REQUIRED, 0])
  session.destroy()
})

test('routes and keys that are none are refused, and named', () => {
  const wrong: [unknown, RegExp][] = [
    [undefined, /options: an object/],
    [{}, /routes: a list of routes, not undefined/],
    [{ routes: {} }, /routes: a list/],
    [{ routes: [], route: 1 }, /route: no such option/],
    [{ routes: [7] }, /routes\[0\]: an object, not 7/],
    [{ routes: [{ to: 'a' }, {}] }, /routes\[1\]\.to: the name of a group.*not undefined/],
    [{ routes: [{ to: 'a', hots: 'x' }] }, /hots: no such option/],
    [{ routes: [{ to: 'a', host: 'a b' }] }, /routes\[0\]\.host: a name.*"a b"/],
    [{ routes: [{ to: 'a', host: 'a:80' }] }, /routes\[0\]\.host: a name/],
    [{ routes: [{ to: 'a', host: 7 }] }, /routes\[0\]\.host: text, not 7/],
    [{ routes: [{ to: 'a', path: 'api' }] }, /routes\[0\]\.path: it starts with '\/'.*"api"/],
    [{ routes: [{ to: 'a', path: '/a?b' }] }, /routes\[0\]\.path/],
    [{ routes: [{ to: 'a', path: '/a/../b' }] }, /routes\[0\]\.path/],
    [{ routes: [{ to: 'a', method: 'get' }] }, /routes\[0\]\.method: such as 'GET'/],
    [{ routes: [{ to: 'a', version: '3' }] }, /routes\[0\]\.version: '1\.0', '1\.1' or '2'/],
    [{ routes: [{ to: 'a', header: 'x' }] }, /routes\[0\]\.header: \{ name, value \}/],
    [{ routes: [{ to: 'a', header: {} }] }, /routes\[0\]\.header\.name: text/],
    [{ routes: [{ to: 'a', cookie: { name: 'a', value: 1 } }] }, /routes\[0\]\.cookie\.value: text, not 1/],
    [{ routes: [], key: 'host' }, /key: \{ cookie \}, \{ header \}, \{ query \}, 'address'.*"host"/],
    [{ routes: [], key: { cookie: '' } }, /key: /],
    [{ routes: [], key: { cookie: 'a', header: 'b' } }, /key: /],
    [{ routes: [], key: [{ query: 'a' }, null] }, /key: .*not null/],
    [{ routes: [], otherwise: null }, /otherwise: the name of a group/],
  ]
  for (const [options, message] of wrong) {
    assert.throws(() => httpRequestHead(options as HttpRequestHeadOptions), { name: 'TypeError', message })
  }
})
