import assert from 'node:assert/strict'
import test from 'node:test'
import { type ClientHello, parseClientHello } from '../../src/handshake/client-hello.js'
import { CLIENT_HELLO_BYTES_MAX, CLIENT_HELLO_RECORDS_MAX } from '../../src/limits.js'
import {
  extension,
  type HelloParts,
  helloMessage,
  number,
  protocols,
  records,
  serverName,
  vector,
  versions,
} from '../support/client-hellos.js'
import { cuts, lawful } from '../support/first-bytes.js'

const parse = (bytes: Buffer) => lawful(parseClientHello, bytes, CLIENT_HELLO_BYTES_MAX, cuts(bytes.length, 500))
const hello = (parts: HelloParts): ClientHello | string => {
  const parsed = parse(records(helloMessage(parts)))
  return 'found' in parsed ? parsed.found : JSON.stringify(parsed)
}
const nameIn = (name: string | Buffer): string | null | undefined =>
  (hello({ extensions: [serverName(name)] }) as ClientHello).name

const plain = { name: null, alpn: [], version: 'TLSv1.2', ech: false, sslv2: false } as const

test('a hello without extensions is one, with or without their length', () => {
  assert.deepEqual(hello({ legacy: 0x301, extensions: null, session: 0 }), { ...plain, version: 'TLSv1' })
  assert.deepEqual(hello({ legacy: 0x300, extensions: [] }), { ...plain, version: 'SSLv3' })
})

test('name, protocols, versions and the encrypted hello are read, wherever they stand', () => {
  const extensions = [
    extension(0xfe0d, Buffer.alloc(200, 1)),
    versions(0x304, 0x303),
    extension(0xff01, Buffer.from([0])),
    protocols('h2', 'http/1.1', 'ünï'),
    serverName('www.example.com'),
  ]
  const expected = {
    name: 'www.example.com',
    alpn: ['h2', 'http/1.1', Buffer.from('ünï').toString('latin1')],
    version: 'TLSv1.3',
    ech: true,
    sslv2: false,
  }
  assert.deepEqual(hello({ extensions }), expected)
  assert.deepEqual(hello({ extensions: [...extensions].reverse() }), expected)
})

test('values of GREASE are passed over', () => {
  const grease = Buffer.from('3a3a', 'hex')
  assert.deepEqual(
    hello({
      ciphers: Buffer.from('1a1a1301', 'hex'),
      extensions: [
        extension(0x0a0a),
        versions(0xfafa, 0x303),
        protocols(grease, 'h2', Buffer.from('0a1a', 'hex')),
        extension(0xdada, Buffer.from([0])),
      ],
    }),
    { ...plain, alpn: ['h2', '\x0a\x1a'] },
  )
})

test('the version is the highest that has a name; without the extension TLS 1.2 at most', () => {
  const version = (parts: HelloParts): unknown => (hello(parts) as ClientHello).version
  assert.equal(version({ extensions: [versions(0x302, 0x304, 0x303)] }), 'TLSv1.3')
  assert.equal(version({ extensions: [versions(0x7f1c, 0x301)] }), 'TLSv1')
  assert.equal(version({ extensions: [versions(0x7f1c)] }), 'TLSv1.2')
  assert.equal(version({ legacy: 0x304 }), 'TLSv1.2')
  assert.equal(version({ legacy: 0x3ff }), 'TLSv1.2')
  assert.equal(version({ legacy: 0x302 }), 'TLSv1.1')
})

test('a name is in lower case and has no dot at its end', () => {
  assert.equal(nameIn('WWW.Example.COM.'), 'www.example.com')
  assert.equal(nameIn('localhost'), 'localhost')
  assert.equal(nameIn('_x-1.a_b.example'), '_x-1.a_b.example')
  assert.equal(nameIn(`${'a'.repeat(63)}.example`), `${'a'.repeat(63)}.example`)
})

test('a name that DNS cannot have is none', () => {
  const none = ['', '.', '..', 'a..b', '.a', 'a b', 'a/b', 'bücher.example', 'a\0b', 'a\n', '[::1]', '*.example.com']
  for (const name of [...none, 'a'.repeat(64), `${'a.'.repeat(127)}aa`]) assert.equal(nameIn(name), null, name)
  const ofAnotherType = extension(0, vector(2, Buffer.from([7]), vector(2, Buffer.from('example.com'))))
  assert.equal((hello({ extensions: [ofAnotherType] }) as ClientHello).name, null)
})

test('a malformed hello is none', () => {
  const malformed: [string, HelloParts][] = [
    ['a session id over 32 bytes', { session: 33 }],
    ['no ciphers', { ciphers: Buffer.alloc(0) }],
    ['half a cipher', { ciphers: Buffer.alloc(3) }],
    ['no compression', { compression: Buffer.alloc(0) }],
    ['another major version', { legacy: 0x403 }],
    ['an extension twice', { extensions: [extension(23), extension(23)] }],
    ['bytes behind the extensions', { tail: Buffer.alloc(1) }],
    ['an extension cut off', { extensions: [number(0x0017, 2), Buffer.from([0])] }],
    ['an extension longer than all', { extensions: [number(0x00170005, 4)] }],
    ['a list of names cut off', { extensions: [extension(0, number(9, 2))] }],
    ['an empty list of names', { extensions: [extension(0, number(0, 2))] }],
    ['an empty name extension', { extensions: [extension(0)] }],
    [
      'bytes behind the list of names',
      { extensions: [extension(0, vector(2, Buffer.from([0, 0, 1, 97])), Buffer.from([0]))] },
    ],
    ['an empty protocol', { extensions: [protocols('h2', '')] }],
    ['a protocol cut off', { extensions: [extension(16, vector(2, Buffer.from([3, 97])))] }],
    ['half a version', { extensions: [extension(43, vector(1, Buffer.from([3, 4, 3])))] }],
  ]
  for (const [what, parts] of malformed) assert.equal(hello(parts), '{"not":"a malformed ClientHello"}', what)
  for (const length of [0, 1, 2, 33, 34, 40, 66]) {
    const message = Buffer.concat([
      Buffer.from([1]),
      vector(3, helloMessage({ extensions: null }).subarray(4, 4 + length)),
    ])
    assert.deepEqual(parse(records(message)), { not: 'a malformed ClientHello' }, `${length} bytes of one`)
  }
})

test('it may come in any pieces: records of any size, cut within the header of the message too', () => {
  const message = helloMessage({ extensions: [serverName('a.example'), protocols('h2')] })
  const whole = parse(records(message))
  assert.ok('found' in whole)
  for (const sizes of [[1], [2], [3, 1, 2], [4, 100], [5, 7, 11], [message.length - 1, 1]]) {
    assert.deepEqual(parse(records(message, ...sizes)), whole, `records of ${sizes}`)
  }
})

test('what follows the hello is not looked at', () => {
  const bytes = records(helloMessage({ extensions: [serverName('a.example')] }))
  const behind = Buffer.concat([bytes, Buffer.from('17030300ffjunk')])
  assert.deepEqual(parse(behind), parse(bytes))
})

test('it asks for what the record, or the message, is known to have', () => {
  const message = helloMessage({ extensions: [serverName('a.example')] })
  const inTwo = records(message, 20)
  assert.deepEqual(parseClientHello(Buffer.alloc(0)), { more: 5 })
  assert.deepEqual(parseClientHello(inTwo.subarray(0, 5)), { more: 9 })
  assert.deepEqual(parseClientHello(inTwo.subarray(0, 12)), { more: 25 })
  assert.deepEqual(parseClientHello(inTwo.subarray(0, 25)), { more: 30 })
  assert.deepEqual(parseClientHello(inTwo.subarray(0, 30)), { more: 50 })
  const inOne = records(message)
  assert.deepEqual(parseClientHello(inOne.subarray(0, 9)), { more: inOne.length })
})

test('a hello as version 2 of SSL wrote it is recognised', () => {
  const sslv2 = (version: number): Buffer =>
    Buffer.concat([number(0x802e, 2), Buffer.from([1]), number(version, 2), number(21, 2), Buffer.alloc(44)])
  for (const [version, name] of [
    [0x0002, 'SSLv2'],
    [0x0300, 'SSLv3'],
    [0x0301, 'TLSv1'],
    [0x0303, 'TLSv1.2'],
  ] as const) {
    assert.deepEqual(parse(sslv2(version)), { found: { ...plain, version: name, sslv2: true } })
  }
  assert.deepEqual(parse(sslv2(0x0304)), { not: 'no TLS handshake' })
  assert.deepEqual(parse(Buffer.from('8002010301', 'hex')), { not: 'no TLS handshake' })
})

test('what is no TLS is said to be none as soon as it shows', () => {
  for (const [bytes, at] of [
    [Buffer.from('GET / HTTP/1.1\r\n'), 1],
    [Buffer.from('SSH-2.0-x\r\n'), 1],
    [Buffer.from('16020100010100', 'hex'), 2],
    [Buffer.from('1603010000', 'hex'), 5],
    [Buffer.from('1603014001', 'hex'), 5],
    [Buffer.from('160301000102', 'hex'), 6],
    [Buffer.from('15030100020228', 'hex'), 1],
    [Buffer.from('ff0000', 'hex'), 3],
  ] as const) {
    assert.ok('not' in parse(bytes))
    assert.ok('more' in parseClientHello(bytes.subarray(0, at - 1)), bytes.toString('hex'))
    assert.ok('not' in parseClientHello(bytes.subarray(0, at)), bytes.toString('hex'))
  }
  const interrupted = Buffer.concat([records(Buffer.from([1, 0, 0])), Buffer.from('15030100020228', 'hex')])
  assert.deepEqual(parse(interrupted), { not: 'no TLS handshake' })
})

test('a hello over its limits is none: of the message, of the bytes in all, of the records', () => {
  const padded = (bytes: number): Buffer => helloMessage({ extensions: [extension(21, Buffer.alloc(bytes))] })
  assert.ok('found' in parse(records(padded(60_000))))
  assert.match(JSON.stringify(parse(records(padded(65_500)))), /more than 65536 bytes/)
  // Known from the message's own length, long before so much has come.
  assert.match(JSON.stringify(parse(Buffer.from('160301400001010000', 'hex'))), /more than 65536 bytes/)
  // It would fit, but for the header of one more record.
  const close = padded(65_530 - padded(0).length)
  const records5 = records(close, 16_384, 16_384, 16_384, 16_364, 100)
  assert.match(JSON.stringify(parse(records5)), /more than 65536 bytes/)
  assert.match(JSON.stringify(parse(records5.subarray(0, CLIENT_HELLO_BYTES_MAX))), /more than 65536 bytes/)
  const message = helloMessage({ extensions: [extension(21, Buffer.alloc(2000))] })
  assert.match(JSON.stringify(parse(records(message, 1))), /more than 1024 records/)
  assert.ok('found' in parse(records(message, Math.ceil(message.length / CLIENT_HELLO_RECORDS_MAX))))
  assert.match(JSON.stringify(parse(records(padded(62_000), 80))), /more than 65536 bytes/)
})
