/** Everything that looks at first bytes, as tests and the fuzzer (fuzz/handshake.mjs) hold it to its rules. */
import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { type ClientHello, parseClientHello } from '../../src/handshake/client-hello.js'
import { firstLine } from '../../src/handshake/first-line.js'
import { dnsName } from '../../src/handshake/host-name.js'
import { normalPath } from '../../src/handshake/http-path.js'
import { httpRequestHead } from '../../src/handshake/http-request-head.js'
import { parseProxyHeader } from '../../src/handshake/proxy-header.js'
import type { ProxyHeader } from '../../src/handshake/proxy-line.js'
import { proxyProtocol } from '../../src/handshake/proxy-protocol.js'
import { parseRequestHead, type RequestHead } from '../../src/handshake/request-head.js'
import { type Http2Preface, hostOf, parseRequestLine, type RequestLine } from '../../src/handshake/request-line.js'
import { tlsServerName } from '../../src/handshake/tls-server-name.js'
import type { Inspect, Verdict } from '../../src/handshake/verdict.js'
import {
  CLIENT_HELLO_BYTES_MAX,
  FIRST_LINE_MAX,
  HTTP_HEAD_BYTES_MAX,
  PROXY_HEADER_BYTES_MAX,
} from '../../src/limits.js'
import { inspected, lawful, lawfulVerdict } from './first-bytes.js'

export interface Subject {
  name: string
  /** Reads a stream cut at these lengths, and throws if a rule is broken. */
  check(stream: Buffer, at: number[]): void
}

function parser<Result>(
  name: string,
  parse: Parameters<typeof lawful<Result>>[0],
  most: number,
  sound: (found: Result, stream: Buffer) => void,
): Subject {
  return {
    name,
    check(stream, at) {
      const parsed = lawful(parse, stream, most, at)
      if ('found' in parsed) sound(parsed.found, stream)
      if ('not' in parsed) assert.match(parsed.not, /^[\x20-\x7e]{3,80}$/)
    },
  }
}

function inspector(name: string, inspect: Inspect, most: number, peer = '192.0.2.7'): Subject {
  return {
    name,
    check(stream, at) {
      soundVerdict(lawfulVerdict(inspect, stream, most, inspected(peer), at), stream)
    },
  }
}

function soundHello({ name, alpn, version, ech, sslv2 }: ClientHello, stream: Buffer): void {
  if (name !== null) assert.equal(dnsName(name), name)
  assert.ok(alpn.every((one) => one.length > 0 && one.length < 256))
  assert.match(version, /^(SSLv[23]|TLSv1(\.[123])?)$/)
  assert.equal(typeof ech, 'boolean')
  assert.equal(sslv2, stream[0] !== 22)
}

function soundLine(line: RequestLine | Http2Preface, stream: Buffer): void {
  if (line.version === '2') return assert.equal(stream.toString('latin1', 0, 24), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  assert.equal(stream[line.end], 0x0a)
  assert.ok(stream.includes(`${line.method} ${line.target} HTTP/${line.version}`, 0, 'latin1'))
  assert.ok(line.path.startsWith('/') ? normalPath(line.path) === line.path : ['', '*'].includes(line.path))
}

function soundHead(head: RequestHead | Http2Preface, stream: Buffer): void {
  soundLine(head, stream)
  if (head.version === '2') return
  assert.equal(hostOf(head.host), head.host)
  assert.ok(head.authority === null || head.authority === head.host)
  for (const [name, values] of head.headers) {
    assert.equal(name, name.toLowerCase())
    for (const value of values) assert.ok(!/^[ \t]|[ \t]$|[\r\n\0]/.test(value))
  }
}

function soundProxy({ length, proxied }: ProxyHeader, stream: Buffer): void {
  assert.ok(length >= 15 && length <= stream.length)
  for (const end of proxied === null ? [] : [proxied.peer, proxied.local]) {
    assert.equal(isIP(end.address), end.family === 'IPv4' ? 4 : 6)
    assert.ok(Number.isInteger(end.port) && end.port >= 0 && end.port <= 0xffff)
  }
}

function soundVerdict(verdict: Verdict, stream: Buffer): void {
  if (verdict.header !== undefined) assert.ok(verdict.header > 0 && verdict.header <= stream.length)
  else if (verdict.refuse !== undefined) assert.match(verdict.reason ?? '', /^[\x20-\x7e]{3,400}$/)
  else if (verdict.more === undefined)
    assert.ok(Object.keys(verdict).every((name) => ['group', 'worker', 'key'].includes(name)))
}

const http = httpRequestHead({
  routes: [
    { host: 'www.example.com', path: '/api', to: 'api' },
    { host: '*.example', cookie: { name: 't' }, to: 'cookie' },
    { path: '/socket.io', header: { name: 'upgrade' }, to: 'ws' },
    { version: '2', to: 'two' },
  ],
  key: [{ query: 'sid' }, { cookie: 'sid' }, { header: 'x-a' }, 'address'],
})

export const subjects: readonly Subject[] = [
  parser('parseClientHello', parseClientHello, CLIENT_HELLO_BYTES_MAX, soundHello),
  parser('parseRequestLine', parseRequestLine, HTTP_HEAD_BYTES_MAX, soundLine),
  parser('parseRequestHead', parseRequestHead, HTTP_HEAD_BYTES_MAX, soundHead),
  parser('parseProxyHeader', parseProxyHeader, PROXY_HEADER_BYTES_MAX, soundProxy),
  inspector(
    'tlsServerName',
    tlsServerName({ names: { '*.example.com': 'a' }, alpn: { h2: 'b' }, key: ['name', 'address'] }),
    CLIENT_HELLO_BYTES_MAX,
  ),
  inspector('httpRequestHead', http, HTTP_HEAD_BYTES_MAX),
  inspector('httpRequestHead, first line', httpRequestHead({ routes: [{ path: '/a', to: 'a' }] }), HTTP_HEAD_BYTES_MAX),
  inspector('proxyProtocol, trusted', proxyProtocol({ trusted: ['192.0.2.7'] }), PROXY_HEADER_BYTES_MAX),
  inspector('proxyProtocol, others', proxyProtocol({ trusted: ['::1'], others: 'direct' }), PROXY_HEADER_BYTES_MAX),
  inspector(
    'firstLine',
    firstLine({ routes: { join: 'a', 'join room': 'b' }, most: 100, key: (line) => line }),
    FIRST_LINE_MAX,
  ),
]
