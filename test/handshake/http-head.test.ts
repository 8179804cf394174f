import assert from 'node:assert/strict'
import test from 'node:test'
import type { Parsed } from '../../src/handshake/parsed.js'
import { parseRequestHead, type RequestHead } from '../../src/handshake/request-head.js'
import { parseRequestLine } from '../../src/handshake/request-line.js'
import { HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX } from '../../src/limits.js'
import { cuts, lawful } from '../support/first-bytes.js'
import { head, PREFACE, request } from '../support/heads.js'

const bytesOf = (text: Buffer | string): Buffer => (typeof text === 'string' ? Buffer.from(text, 'latin1') : text)

function parse(text: Buffer | string): RequestHead {
  const bytes = bytesOf(text)
  const parsed = lawful(parseRequestHead, bytes, HTTP_HEAD_BYTES_MAX, cuts(bytes.length, 500))
  assert.ok('found' in parsed && parsed.found.version !== '2', JSON.stringify([bytes.toString('latin1'), parsed]))
  return parsed.found
}

function refused(text: Buffer | string): string {
  const bytes = bytesOf(text)
  const parsed = lawful(
    parseRequestHead as (bytes: Buffer) => Parsed<unknown>,
    bytes,
    HTTP_HEAD_BYTES_MAX,
    cuts(bytes.length, 500),
  )
  assert.ok('not' in parsed, JSON.stringify([bytes.toString('latin1').slice(0, 100), parsed]))
  return parsed.not
}

test('a head is read: method, target, path, query, host, headers, cookies', () => {
  const found = parse(
    head(
      'POST /a/b?x=1?2 HTTP/1.1',
      'HOST:\t Example.COM:8080 ',
      'X-Twice: one',
      "!#$%&'*+-.^_`|~9: odd",
      'x-twice:two ',
      'Empty:',
      'Cookie: sid=3~abc; theme="dark"; sid=second; x',
      'Cookie: other=a=b',
      'Caf: \xe9',
    ),
  )
  assert.equal(found.method, 'POST')
  assert.equal(found.target, '/a/b?x=1?2')
  assert.deepEqual([found.path, found.query, found.host, found.version], ['/a/b', 'x=1?2', 'example.com', '1.1'])
  assert.deepEqual(found.headers.get('x-twice'), ['one', 'two'])
  assert.deepEqual(found.headers.get("!#$%&'*+-.^_`|~9"), ['odd'])
  assert.deepEqual([found.headers.get('empty'), found.headers.get('caf')], [[''], ['é']])
  assert.deepEqual(
    [...found.cookies],
    [
      ['sid', '3~abc'],
      ['theme', 'dark'],
      ['other', 'a=b'],
    ],
  )
})

test('lines end in CR LF or LF, mixed as they like; a few empty ones may come first; what follows is not looked at', () => {
  for (const text of [
    'GET / HTTP/1.1\nHost: a\n\n',
    'GET / HTTP/1.1\r\nHost: a\n\r\n',
    'GET / HTTP/1.1\nHost: a\r\n\n',
    '\r\n\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\nHost: a\n\n\r\n\r\nGET /other HTTP/1.1\r\nHost: b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n\n\nbody',
  ]) {
    assert.deepEqual([parse(text).host, parse(text).path], ['a', '/'])
  }
  assert.equal(refused(`${'\r\n'.repeat(5)}GET / HTTP/1.1\r\nHost: a\r\n\r\n`), 'no request line')
})

test('hosts are names, IPv4, or IPv6 in brackets, without a port', () => {
  for (const [written, host] of [
    ['a', 'a'],
    ['A.B.:80', 'a.b'],
    ['a:', 'a'],
    ['192.0.2.1:65535', '192.0.2.1'],
    ['[2001:DB8:0::1]:443', '[2001:db8::1]'],
    ['[::1]', '[::1]'],
    ['[::ffff:192.0.2.1]', '[::ffff:192.0.2.1]'],
    ['', ''],
  ] as const) {
    assert.equal(parse(request('/', written)).host, host, written)
  }
  for (const written of [
    ...['a:65536', 'a:-1', 'a:1:2', 'a:x', 'a b', 'a,b', 'u@a', 'a/b', 'a%20b', '\xe9', '::1', '[::1', '[::1]x', '[]'],
    ...['[fe80::1%eth0]', '[a]', ':80', '.', 'a..b', '*', 'a:000080', 'a\\b', 'a?b', 'a#b'],
  ]) {
    assert.equal(refused(request('/', written)), 'no Host, an invalid one, or several', written)
  }
})

test('HTTP/1.1 has one Host, HTTP/1.0 one at most', () => {
  assert.equal(parse(head('GET / HTTP/1.0')).host, '')
  assert.equal(parse(head('GET / HTTP/1.0', 'Host: a')).host, 'a')
  const several = [
    ['Host: a', 'Host: b'],
    ['Host: a', 'host: a'],
    ['Host:', 'Host: a'],
  ]
  for (const hosts of [[], ...several]) refused(head('GET / HTTP/1.1', ...hosts))
  for (const hosts of several) refused(head('GET / HTTP/1.0', ...hosts))
})

test("an absolute target's host counts; a Host that says otherwise makes it ambiguous", () => {
  const found = parse(head('GET HTTP://Example.com:81/x?y HTTP/1.1', 'Host: example.com'))
  assert.deepEqual([found.host, found.path, found.query], ['example.com', '/x', 'y'])
  assert.deepEqual([parse(request('http://a', 'a')).path, parse(request('https://a?q', 'a:1')).path], ['/', '/'])
  assert.equal(parse(request('https://a?q', 'a')).query, 'q')
  assert.equal(parse(head('GET http://a/ HTTP/1.0')).host, 'a')
  for (const [target, host] of [
    ...[
      ['http://a/', 'b'],
      ['http://a/', ''],
      ['http:///x', ''],
      ['http://u@a/', 'a'],
      ['http://a:x/', 'a'],
    ],
    ...[
      ['ftp://a/', 'a'],
      ['http:/a', 'a'],
      ['a', 'a'],
      ['http://', 'a'],
      ['x:y', 'a'],
    ],
  ] as [string, string][]) {
    refused(request(target, host))
  }
  refused(head('GET http://a/ HTTP/1.1'))
})

test('CONNECT and OPTIONS have targets of their own', () => {
  const connect = parse(head('CONNECT a.example:443 HTTP/1.1', 'Host: a.example:443'))
  assert.deepEqual([connect.host, connect.path, connect.target], ['a.example', '', 'a.example:443'])
  assert.equal(parse(head('OPTIONS * HTTP/1.1', 'Host: a')).path, '*')
  for (const line of [
    'GET * HTTP/1.1',
    'CONNECT /x HTTP/1.1',
    'CONNECT a HTTP/1.1',
    'GET a:80 HTTP/1.1',
    'CONNECT * HTTP/1.1',
  ]) {
    refused(head(line, 'Host: a'))
  }
})

test('a request line that is not exactly one is none', () => {
  for (const line of [
    ...[
      'GET  / HTTP/1.1',
      'GET /  HTTP/1.1',
      ' GET / HTTP/1.1',
      'GET / HTTP/1.1 ',
      'GET /',
      'GET / HTTP/1.2',
      'GET / http/1.1',
    ],
    ...[
      'GET / HTTP/2.0',
      'GET / HTTP/0.9',
      'GET\t/ HTTP/1.1',
      'GET /a b HTTP/1.1',
      'G@T / HTTP/1.1',
      'GET HTTP/1.1',
      'GET',
    ],
    ...['GET /\x00 HTTP/1.1', 'GET /\x7f HTTP/1.1', 'GET /\xe9 HTTP/1.1', 'GET /a#b HTTP/1.1', 'GET /\r HTTP/1.1', ''],
    ...[
      'GET / HTTP/1.1\r',
      `${'M'.repeat(33)} / HTTP/1.1`,
      'GET / HTTP/1.1 HTTP/1.1',
      '\x16\x03\x01',
      'PRI /x HTTP/1.1',
    ],
  ]) {
    refused(head(line, 'Host: a'))
  }
})

test('a header that is not exactly one makes it none', () => {
  for (const line of [
    ...[
      'Name : x',
      ' Name: x',
      '\tfolded',
      'Name',
      ': x',
      'Na me: x',
      'Näme: x',
      'Name: a\x00b',
      'Name: a\rb',
      'Name: a\x7fb',
    ],
    ...['Name: \x1b[0m', 'Name\r: x', 'Name: x\r'],
  ]) {
    assert.equal(refused(request('/', 'a', line)), 'a malformed header', JSON.stringify(line))
    refused(head('GET / HTTP/1.1', line, 'Host: a'))
  }
  assert.equal(parse(request('/', 'a', 'Name: a\tb')).headers.get('name')?.[0], 'a\tb')
})

test('paths that servers may take for different ones are none', () => {
  for (const path of [
    ...['/..', '/.', '/a/../b', '/a/./b', '/%2e%2e/a', '/a/.%2E', '/a\\b', '/%', '/%zz', '/%a', '/a%', '/%%36%31'],
    ...['//..//a', '/a/..?x', '/..%2f'.replace('%2f', '/')],
  ]) {
    assert.equal(refused(request(path)), 'an ambiguous request target', path)
  }
  assert.equal(parse(request('/?a=%zz&b=\\../../')).query, 'a=%zz&b=\\../../')
})

test('the preface of HTTP/2 is recognised, and anything like it refused', () => {
  const seen = lawful(parseRequestHead, Buffer.concat([PREFACE, Buffer.alloc(9)]), HTTP_HEAD_BYTES_MAX)
  assert.deepEqual(seen, { found: { version: '2' } })
  assert.deepEqual(parseRequestHead(PREFACE.subarray(0, 4)), { more: 24 })
  assert.equal(refused('PRI * HTTP/2.0\r\nHost: a\r\n\r\n'), 'a broken preface of HTTP/2')
  assert.equal(refused('PRI * HTTP/1.1\r\nHost: a\r\n\r\n'), 'a broken preface of HTTP/2')
})

test('a head over its limits is none: in bytes, in headers', () => {
  const long = (bytes: number): Buffer => {
    const rest = request('/', 'a', 'X: ').length
    return request('/', 'a', `X: ${'y'.repeat(bytes - rest)}`)
  }
  assert.equal(parse(long(HTTP_HEAD_BYTES_MAX)).host, 'a')
  assert.match(refused(long(HTTP_HEAD_BYTES_MAX + 1)), /more than 65536 bytes/)
  assert.match(refused(`GET /${'x'.repeat(HTTP_HEAD_BYTES_MAX)}`), /more than 65536 bytes/)
  const headers = (count: number): string[] => Array.from({ length: count }, (_, i) => `X-${i}: y`)
  assert.equal(parse(request('/', 'a', ...headers(HTTP_HEADERS_MAX - 1))).host, 'a')
  assert.equal(refused(request('/', 'a', ...headers(HTTP_HEADERS_MAX))), 'a malformed header')
})

test('the first line alone is read as soon as it is there', () => {
  const line = Buffer.from('\r\nGET /x?y HTTP/1.1\r\n')
  assert.deepEqual(lawful(parseRequestLine, line, HTTP_HEAD_BYTES_MAX), {
    found: {
      ...{ version: '1.1', method: 'GET', target: '/x?y', path: '/x', query: 'y', authority: null },
      end: line.length - 1,
    },
  })
  assert.ok('more' in parseRequestHead(line))
})

test('what is no HTTP is said to be none as soon as it shows', () => {
  assert.ok('not' in parseRequestLine(Buffer.from([0x16])))
  assert.ok('not' in parseRequestLine(Buffer.from('\r\n\r\n\0')))
  assert.ok('not' in parseRequestLine(Buffer.from('GET:')))
  assert.ok('not' in parseRequestLine(Buffer.from('\rX')))
  assert.ok('more' in parseRequestLine(Buffer.from('\r')))
})
