// biome-ignore-all lint/suspicious/noThenProperty: what comes then; nobody awaits these
import assert from 'node:assert/strict'
import test from 'node:test'
import { type ProxyProtocolOptions, proxyProtocol } from '../../src/handshake/proxy-protocol.js'
import type { Header, Inspect, Inspected, Verdict } from '../../src/handshake/verdict.js'
import { inspected, lawfulVerdict } from '../support/first-bytes.js'
import { binary } from '../support/proxy-headers.js'

const LINE = Buffer.from('PROXY TCP4 198.51.100.1 192.0.2.1 5 443\r\n')
const SPOKEN = Buffer.from('GET / HTTP/1.1\r\n')
const next: Inspect = (bytes) => (bytes.length < 4 ? { more: 4 } : { group: 'next' })
const say = (options: ProxyProtocolOptions, bytes: Buffer, connection: Inspected): Verdict =>
  lawfulVerdict(proxyProtocol(options), bytes, 4096, connection)
const trusts = (trusted: string[], connection: Inspected): boolean =>
  'header' in proxyProtocol({ trusted })(LINE, connection)
const unix: Inspected = { peer: null, local: null, ended: false }

test('a header from a trusted address is believed, of either version, and what is behind it is looked at', () => {
  const options = { trusted: ['192.0.2.7'], next }
  for (const header of [LINE, binary()]) {
    const verdict = say(options, Buffer.concat([header, SPOKEN]), inspected()) as Header
    assert.equal(verdict.header, header.length)
    assert.equal(verdict.next, next)
    assert.equal(verdict.proxied?.local.port, 443)
  }
  assert.deepEqual(say({ trusted: ['192.0.2.7'] }, binary({ command: 0x20 }), inspected()), {
    header: 28,
    proxied: null,
    next: null,
  })
})

test('a trusted address must send a header', () => {
  for (const others of ['direct', 'refuse'] as const) {
    assert.deepEqual(say({ trusted: ['192.0.2.7'], next, others }, SPOKEN, inspected()), {
      refuse: '',
      reason: 'no PROXY header, from a trusted address',
    })
  }
  assert.match(
    JSON.stringify(say({ trusted: ['192.0.2.7'] }, Buffer.from('PROXY x\r\n'.padEnd(20)), inspected())),
    /malformed PROXY header of version 1/,
  )
  assert.deepEqual(say({ trusted: ['192.0.2.7'] }, LINE.subarray(0, 30), inspected()), { more: 31 })
})

test('others are who they are, and may not pretend', () => {
  const options = { trusted: ['10.0.0.0/8'], next }
  assert.deepEqual(say(options, SPOKEN, inspected()), { group: 'next' })
  assert.deepEqual(say({ trusted: ['10.0.0.0/8'] }, SPOKEN, inspected()), {})
  for (const bytes of [LINE, binary(), Buffer.from('PROXY ')]) {
    assert.deepEqual(say(options, bytes, inspected()), {
      refuse: '',
      reason: 'a PROXY header from an address that is not trusted',
    })
  }
  for (const text of ['PROXYx', 'PROX\n', 'POST', '\r\n\r\nGET']) {
    assert.deepEqual(say(options, Buffer.from(text), inspected()), { group: 'next' }, text)
  }
})

test('who says no more than the start of a header and ends, has sent none', () => {
  const options = { trusted: ['10.0.0.0/8'], next }
  assert.deepEqual(say(options, Buffer.from('PROXY'), inspected()), { more: 6 })
  assert.deepEqual(proxyProtocol(options)(Buffer.from('PROXY'), inspected('192.0.2.7', true)), { group: 'next' })
})

test('others can be turned away', () => {
  const refused = { refuse: '', reason: 'not from a trusted proxy' }
  for (const bytes of [LINE, SPOKEN, Buffer.alloc(0)]) {
    assert.deepEqual(say({ trusted: ['10.0.0.0/8'], others: 'refuse', next }, bytes, inspected()), refused)
  }
})

test('trust goes by address and network; IPv4 is IPv4 however it is written', () => {
  for (const [trusted, address, expected] of [
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['192.0.2.7', '::ffff:192.0.2.7', true],
    ['192.0.0.0/16', '::ffff:192.0.9.9', true],
    ['192.0.9.9/16', '192.0.2.7', true],
    ['::ffff:192.0.0.0/112', '192.0.2.7', true],
    ['::ffff:192.0.0.0/112', '::ffff:192.1.2.7', false],
    ['::ffff:192.0.2.7', '192.0.2.7', true],
    ['0.0.0.0/0', '192.0.2.7', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::/32', '2001:db8:1::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['::/0', '2001:db8::1', true],
    ['::/0', '192.0.2.7', false],
    ['::1', '::1', true],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['unix', '192.0.2.7', false],
  ] as const) {
    assert.equal(trusts([trusted], inspected(address)), expected, `${address} by ${trusted}`)
  }
  assert.ok(trusts(['10.0.0.0/8', '192.0.2.7'], inspected()))
})

test('a UNIX socket is trusted only if that is said; a client that has gone is no UNIX socket', () => {
  assert.ok(trusts(['unix', '10.0.0.0/8'], unix))
  assert.ok(!trusts(['0.0.0.0/0', '::/0'], unix))
  const gone: Inspected = { peer: null, local: { address: '192.0.2.1', family: 'IPv4', port: 443 }, ended: true }
  assert.ok(!trusts(['unix'], gone))
})

test('nobody is trusted by default, and what is no address is named', () => {
  const wrong: [unknown, RegExp][] = [
    [undefined, /options: an object/],
    [{}, /trusted: a list of addresses.*not undefined/],
    [{ trusted: [] }, /trusted: a list of addresses.*not an empty one/],
    [{ trusted: '10.0.0.0/8' }, /trusted: a list/],
    [{ trusted: ['::1'], next: {} }, /next: a function, not an object/],
    [{ trusted: ['::1'], others: 'allow' }, /others: 'direct' or 'refuse', not the string "allow"/],
    [{ trusted: ['::1'], trust: 1 }, /trust: no such option/],
  ]
  for (const one of [
    'proxy.example',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0/8',
    '::1%lo',
    '1.2.3.4/8/8',
    '10.0.0.0/x',
    '10.0.0.0/1.5',
    '',
    7,
  ]) {
    wrong.push([{ trusted: ['::1', one] }, /trusted\[1\]: an address, a network such as 10\.0\.0\.0\/8, or unix, not/])
  }
  for (const [options, message] of wrong) {
    assert.throws(() => proxyProtocol(options as ProxyProtocolOptions), { name: 'TypeError', message })
  }
})
