/** Whatever head we accept, a server of Node's sees the same request in it, or none. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import test, { type TestContext } from 'node:test'
import fc from 'fast-check'
import { parseRequestHead } from '../../src/handshake/request-head.js'
import { hostOf } from '../../src/handshake/request-line.js'
import { head } from '../support/heads.js'

interface Seen {
  method: string | undefined
  url: string | undefined
  host: string | undefined
}

/** A server of Node's that is sent bytes: the first request it sees in them, and the status of its answer. */
async function nodeServer(t: TestContext): Promise<(bytes: Buffer) => Promise<{ seen: Seen | null; status: number }>> {
  let seen: Seen | null = null
  const note = (request: http.IncomingMessage): void => {
    seen ??= { method: request.method, url: request.url, host: request.headers.host }
  }
  const server = http.createServer((request, response) => {
    note(request)
    response.writeHead(200, { connection: 'close' }).end()
  })
  server.on('connect', (request, socket) => {
    note(request)
    socket.end('HTTP/1.1 200 OK\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  return async (bytes) => {
    seen = null
    let answer = ''
    const socket = net.connect(port, '127.0.0.1').on('error', () => {})
    socket.on('data', (data) => {
      answer += data
    })
    socket.end(bytes)
    await once(socket, 'close')
    return { seen, status: Number(answer.split(' ')[1] ?? 0) }
  }
}

async function compare(see: Awaited<ReturnType<typeof nodeServer>>, bytes: Buffer): Promise<'both' | 'none' | 'we'> {
  const parsed = parseRequestHead(bytes)
  if (!('found' in parsed) || parsed.found.version === '2') return 'none'
  const { seen, status } = await see(bytes)
  if (seen === null) {
    assert.equal(status, 400, 'what it does not see, it refuses')
    return 'we'
  }
  const { method, target, host, headers } = parsed.found
  assert.deepEqual(
    { method: seen.method, url: seen.url, host: seen.host },
    { method, url: target, host: headers.get('host')?.[0] },
  )
  assert.equal(hostOf(seen.host ?? '') || host, host)
  return 'both'
}

const method = fc.constantFrom('GET', 'POST', 'OPTIONS', 'CONNECT', 'DELETE', 'PRI', 'get', 'G\0T')
const target = fc.oneof(
  fc.webPath().map((path) => (path.startsWith('/') ? path : `/${path}`)),
  fc.webUrl({ withQueryParameters: true, withFragments: true }),
  fc.constantFrom(
    '*',
    '/',
    'a.example:443',
    'http://a.example/x',
    '//a',
    '/x/../y',
    '/%61',
    '/a#b',
    '/a b',
    'x',
    '/é',
    '/\\a',
  ),
)
const hostHeader = fc.oneof(
  fc.domain(),
  fc.constantFrom('a.example', 'a.example:443', '[::1]:80', '', 'a b', 'b.example'),
)
const line = fc.oneof(
  hostHeader.map((host) => `Host: ${host}`),
  fc.tuple(fc.string({ maxLength: 6 }), fc.string({ maxLength: 6 })).map(([name, value]) => `${name}:${value}`),
  fc.constantFrom(
    ' folded',
    'X : y',
    'X: \x01',
    'Connection: close',
    'Cookie: a=b',
    'Content-Length: 0',
    'X: a\rHost: z',
    '',
  ),
)
const heads = fc
  .tuple(
    method,
    target,
    fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2'),
    hostHeader,
    fc.array(line, { maxLength: 3 }),
  )
  .map(([verb, where, version, host, lines]) => head(`${verb} ${where} ${version}`, `Host: ${host}`, ...lines))
/** A head with a few bytes changed, put in or left out. */
const mutated = fc
  .tuple(
    heads,
    fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.constantFrom(...'\r\n\t :/?#%.\0\x80aH@[]\\,;')), { maxLength: 3 }),
    fc.boolean(),
  )
  .map(([bytes, changes, bare]) => {
    let text = bytes.toString('latin1')
    for (const [where, kind, character] of changes) {
      const at = where % (text.length + 1)
      text = text.slice(0, at) + (kind === 2 ? '' : character) + text.slice(kind === 0 ? at : at + 1)
    }
    return Buffer.from(bare ? text.replaceAll('\r\n', '\n') : text, 'latin1')
  })

test('of any head that we accept, Node sees the same method, target and host, or refuses it', {
  timeout: 55_000,
}, async (t) => {
  const see = await nodeServer(t)
  const counts = { both: 0, none: 0, we: 0 }
  await fc.assert(
    fc.asyncProperty(fc.oneof(heads, mutated), async (bytes) => {
      counts[await compare(see, bytes)] += 1
    }),
    { numRuns: 1500, interruptAfterTimeLimit: 40_000 },
  )
  assert.ok(counts.both > 30, `enough were accepted by both: ${JSON.stringify(counts)}`)
})

test('heads as clients write them are accepted by both', async (t) => {
  const see = await nodeServer(t)
  for (const bytes of [
    head('GET / HTTP/1.1', 'Host: localhost:8080', 'User-Agent: x', 'Accept: */*'),
    head('GET /a/b.c?d=e&f=%20 HTTP/1.1', 'Host: a.example', 'Cookie: a=b; c=d', 'Accept-Language: de;q=0.5'),
    head('POST /%C3%A9 HTTP/1.1', 'Host: [::1]:3000', 'Content-Length: 0'),
    head('GET http://a.example/x HTTP/1.1', 'Host: a.example'),
    head('OPTIONS * HTTP/1.1', 'Host: a.example'),
    head('CONNECT a.example:443 HTTP/1.1', 'Host: a.example:443'),
    head('GET /ws HTTP/1.1', 'Host: a', 'Connection: close', 'X-Forwarded-For: 1.2.3.4'),
    head('HEAD / HTTP/1.0'),
  ]) {
    assert.equal(await compare(see, bytes), 'both', bytes.toString())
  }
})
