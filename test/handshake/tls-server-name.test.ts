import assert from 'node:assert/strict'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import test from 'node:test'
import tls from 'node:tls'
import { refuse } from '../../src/handshake/destination.js'
import { type TlsServerNameOptions, tlsServerName } from '../../src/handshake/tls-server-name.js'
import type { Inspect, Refusal, Verdict } from '../../src/handshake/verdict.js'
import { CLIENT_HELLO_BYTES_MAX } from '../../src/limits.js'
import { helloMessage, protocols, records, serverName } from '../support/client-hellos.js'
import { inspected, lawfulVerdict } from '../support/first-bytes.js'

const hello = (name: string | null, ...alpn: string[]): Buffer =>
  records(
    helloMessage({
      extensions: [...(name === null ? [] : [serverName(name)]), ...(alpn.length === 0 ? [] : [protocols(...alpn)])],
    }),
  )
const say = (inspect: Inspect, bytes: Buffer, peer?: string): Verdict =>
  lawfulVerdict(inspect, bytes, CLIENT_HELLO_BYTES_MAX, inspected(peer))
const SSLV2 = Buffer.concat([Buffer.from('802e0103010015', 'hex'), Buffer.alloc(41)])

test('an exact name goes before a wildcard, which is one label; case and a dot at the end do not matter', () => {
  const inspect = tlsServerName({
    names: {
      '*.example.com': 'wild',
      'API.example.com.': 'api',
      'example.com': { group: 'bare' },
      '*.A.example.com': 'a',
    },
    otherwise: 'other',
  })
  for (const [name, group] of [
    ['api.example.com', 'api'],
    ['Api.Example.Com', 'api'],
    ['api.example.com.', 'api'],
    ['www.example.com', 'wild'],
    ['a.example.com', 'wild'],
    ['x.a.example.com', 'a'],
    ['example.com', 'bare'],
    ['x.www.example.com', 'other'],
    ['xexample.com', 'other'],
    ['com', 'other'],
    ['*.example.com', 'other'],
    [null, 'other'],
  ] as const) {
    assert.deepEqual(say(inspect, hello(name)), { group }, `${name}`)
  }
})

test('protocols are asked first, in the order of the option', () => {
  const inspect = tlsServerName({
    names: { 'a.example': 'name' },
    alpn: { 'acme-tls/1': 'acme', h2: 'two', ü: 'umlaut' },
  })
  assert.deepEqual(say(inspect, hello('a.example', 'acme-tls/1')), { group: 'acme' })
  assert.deepEqual(say(inspect, hello(null, 'h2', 'acme-tls/1')), { group: 'acme' })
  assert.deepEqual(say(inspect, hello(null, 'ü')), { group: 'umlaut' })
  assert.deepEqual(say(inspect, hello('a.example', 'http/1.1')), { group: 'name' })
})

test('no name, an unknown one, and SSLv2: otherwise, or the alert; junk goes its own way', () => {
  const strict = tlsServerName({ names: { 'a.example': 'a' } })
  const alert = Buffer.from('15030300020270', 'hex')
  assert.deepEqual(say(strict, hello(null)), { refuse: alert, reason: 'no server name' })
  assert.deepEqual(say(strict, hello('b.example')), { refuse: alert, reason: 'unknown name b.example' })
  assert.deepEqual(say(strict, SSLV2), { refuse: alert, reason: 'no server name' })
  assert.deepEqual(say(strict, Buffer.from('GET / HTTP/1.1\r\n')), { refuse: '', reason: 'no TLS handshake' })
  const open = tlsServerName({ otherwise: {}, junk: refuse('what?\n', 'junk') })
  for (const bytes of [hello(null), hello('b.example'), SSLV2]) assert.deepEqual(say(open, bytes), {})
  assert.deepEqual(say(open, Buffer.from('hello')), { refuse: 'what?\n', reason: 'junk' })
  assert.deepEqual(say(tlsServerName({ otherwise: 'x', junk: 'y' }), Buffer.from('hello')), { group: 'y' })
})

test('a key is the name, the address, or what a function says; the first that there is', () => {
  const keyed = (key: TlsServerNameOptions['key'], bytes: Buffer, to: string | object = 'g'): Verdict =>
    say(tlsServerName({ otherwise: to as string, ...(key === undefined ? {} : { key }) }), bytes)
  assert.deepEqual(keyed('name', hello('A.example')), { group: 'g', key: 'a.example' })
  assert.deepEqual(keyed('name', hello(null)), { group: 'g' })
  assert.deepEqual(keyed(['name', 'address'], hello(null)), { group: 'g', key: '192.0.2.7/32' })
  assert.deepEqual(keyed({ address: { v4: 24 } }, hello(null)), { group: 'g', key: '192.0.2.0/24' })
  assert.deepEqual(
    keyed(({ alpn }, { peer }) => `${alpn}${peer?.port}`, hello(null, 'h2')),
    { group: 'g', key: 'h240000' },
  )
  assert.deepEqual(
    keyed(() => undefined, hello(null)),
    { group: 'g' },
  )
  assert.deepEqual(keyed('name', hello('a.example'), { worker: '3' }), { worker: '3' })
  assert.deepEqual(keyed('name', hello('a.example'), { key: 'all' }), { key: 'all' })
  assert.deepEqual(keyed('name', hello('a.example'), refuse()), { refuse: '' })
})

test("a client of Node's is told by the alert that the name is unknown", async (t) => {
  const verdict = say(tlsServerName({ names: { 'a.example': 'a' } }), hello('b.example')) as Refusal
  const server = net.createServer((socket) => socket.end(verdict.refuse)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const client = tls.connect({ port, host: '127.0.0.1', servername: 'b.example' })
  const [error] = (await once(client, 'error').catch((failed: Error) => [failed])) as [NodeJS.ErrnoException]
  assert.match(String(error.code), /UNRECOGNIZED_NAME/)
})

test('options that lead nowhere, or are none, are refused, and named', () => {
  const wrong: [unknown, RegExp][] = [
    [undefined, /options: an object/],
    [{}, /at least one of names, alpn and otherwise/],
    [{ name: {} }, /name: no such option/],
    [{ names: 'a' }, /names: an object of destinations/],
    [{ names: { 'a.example': 7 } }, /names\["a\.example"\]: the name of a group.*not 7/],
    [{ names: { 'a.example': '' } }, /names\["a\.example"\]: the name of a group/],
    [{ names: { 'bücher.example': 'a' } }, /names: a name such as example\.com.*not the string "bücher/],
    [{ names: { '*': 'a' } }, /names: a name/],
    [{ names: { 'a.*.example': 'a' } }, /names: a name/],
    [{ names: { 'a.example': 'a', 'A.example.': 'b' } }, /names: A\.example\. is there twice/],
    [{ otherwise: { group: 1 } }, /otherwise\.group: text, not 1/],
    [{ otherwise: { grupe: 'x' } }, /otherwise\.grupe: no such field of a route/],
    [{ otherwise: { refuse: '', group: 'x' } }, /otherwise\.group: no such field of a refusal/],
    [{ otherwise: { refuse: 7 } }, /otherwise\.refuse: text or bytes, not 7/],
    [{ otherwise: 'a', key: 'nome' }, /key: 'name', 'address'.*not the string "nome"/],
    [{ otherwise: 'a', key: { cookie: 'x' } }, /key: .*not \{"cookie":"x"\}/],
    [{ otherwise: 'a', key: { address: { v4: 33 } } }, /v4: a whole number from 0 to 32, not 33/],
    [{ otherwise: 'a', key: { address: { v5: 1 } } }, /v5: no such option/],
  ]
  for (const [options, message] of wrong) assert.throws(() => tlsServerName(options as TlsServerNameOptions), message)
})
