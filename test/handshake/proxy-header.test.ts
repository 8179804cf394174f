import assert from 'node:assert/strict'
import test from 'node:test'
import { crc32c } from '../../src/handshake/crc32c.js'
import type { Parsed } from '../../src/handshake/parsed.js'
import { parseProxyHeader } from '../../src/handshake/proxy-header.js'
import type { ProxyHeader } from '../../src/handshake/proxy-line.js'
import { PROXY_HEADER_BYTES_MAX, PROXY_LINE_BYTES_MAX } from '../../src/limits.js'
import { number } from '../support/client-hellos.js'
import { lawful } from '../support/first-bytes.js'
import { type BinaryParts, binary, field, IPV4 } from '../support/proxy-headers.js'

const bytesOf = (text: Buffer | string): Buffer => (typeof text === 'string' ? Buffer.from(text, 'latin1') : text)

/** With something behind the header, which is none of its. */
function parse(header: Buffer | string): Parsed<ProxyHeader> {
  const bytes = bytesOf(header)
  const parsed = lawful(
    parseProxyHeader,
    Buffer.concat([bytes, Buffer.from('GET / HTTP/1.1\r\n\r\n')]),
    PROXY_HEADER_BYTES_MAX,
  )
  if ('found' in parsed) assert.equal(parsed.found.length, bytes.length)
  return parsed
}
const MALFORMED_LINE = { not: 'a malformed PROXY header of version 1' }
const MALFORMED = { not: 'a malformed PROXY header of version 2' }
const proxied = (parts: BinaryParts): ProxyHeader['proxied'] | undefined => {
  const parsed = parse(binary(parts))
  return 'found' in parsed ? parsed.found.proxied : undefined
}

test('version 1 names both ends, in one way of writing only', () => {
  assert.deepEqual(parse('PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n'), {
    found: {
      version: 1,
      length: 42,
      proxied: {
        peer: { address: '192.0.2.7', family: 'IPv4', port: 40000 },
        local: { address: '192.0.2.1', family: 'IPv4', port: 443 },
        fields: [],
      },
    },
  })
  const six = parse('PROXY TCP6 2001:DB8:0:0::7 ::ffff:192.0.2.1 0 65535\r\n')
  assert.deepEqual('found' in six && six.found.proxied, {
    peer: { address: '2001:db8::7', family: 'IPv6', port: 0 },
    local: { address: '::ffff:192.0.2.1', family: 'IPv6', port: 65535 },
    fields: [],
  })
  const ffff = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
  assert.ok('found' in parse(`PROXY TCP6 ${ffff} ${ffff} 65535 65535\r\n`), 'the longest')
})

test('of UNKNOWN the rest of the line does not matter', () => {
  for (const line of [
    'PROXY UNKNOWN\r\n',
    'PROXY UNKNOWN \r\n',
    'PROXY UNKNOWN what ever 1 2 3\r\n',
    `PROXY UNKNOWN ${'f'.repeat(91)}\r\n`,
  ]) {
    assert.deepEqual(parse(line), { found: { version: 1, length: line.length, proxied: null } })
  }
})

test('version 1 that is not exactly right is refused', () => {
  for (const line of [
    ...[
      'TCP4 192.0.2.7 192.0.2.1 40000 443\n',
      'TCP4 192.0.2.7 192.0.2.1 40000 443 \r\n',
      'TCP4 192.0.2.7  192.0.2.1 1 2\r\n',
    ],
    ...[
      'TCP4 192.0.2.7 192.0.2.1 40000\r\n',
      'TCP4 192.0.2.07 192.0.2.1 1 2\r\n',
      'TCP4 192.0.2.256 192.0.2.1 1 2\r\n',
    ],
    ...[
      'TCP4 ::1 ::2 1 2\r\n',
      'TCP6 192.0.2.7 192.0.2.1 1 2\r\n',
      'TCP6 fe80::1%eth0 ::1 1 2\r\n',
      'TCP6 1::2::3 ::1 1 2\r\n',
    ],
    ...[
      'TCP4 192.0.2.7 192.0.2.1 01 2\r\n',
      'TCP4 192.0.2.7 192.0.2.1 65536 2\r\n',
      'TCP4 192.0.2.7 192.0.2.1 1 6553.5\r\n',
      'TCP4 192.0.2.7 192.0.2.1 -1 2\r\n',
    ],
    ...[
      'TCP4 192.0.2.7 192.0.2.1 1e3 2\r\n',
      'TCP4 192.0.2.7 192.0.2.1  2\r\n',
      'TCP4 192.0.2.7 192.0.2.1 1 2\r\r\n',
      '\r\n',
    ],
    ...[
      'UDP4 192.0.2.7 192.0.2.1 1 2\r\n',
      'tcp4 192.0.2.7 192.0.2.1 1 2\r\n',
      'UNKNOWNX\r\n',
      'UNKNOWN\n',
      'UNKNOWN\rx\r\n',
      '\n',
    ],
    ...[
      `UNKNOWN ${'f'.repeat(92)}\r\n`,
      'TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n',
      ' TCP4 192.0.2.7 192.0.2.1 1 2\r\n',
      `${'x'.repeat(200)}`,
    ],
  ]) {
    assert.deepEqual(parse(`PROXY ${line}`), MALFORMED_LINE, JSON.stringify(line))
  }
})

test('version 2 names both ends, and has fields in their order', () => {
  assert.deepEqual(
    proxied({
      fields: Buffer.concat([field(0x02, 'a.example'), field(0xe0, ''), field(0x04, '...'), field(0x02, 'b')]),
    }),
    {
      peer: { address: '192.0.2.7', family: 'IPv4', port: 40000 },
      local: { address: '192.0.2.1', family: 'IPv4', port: 443 },
      fields: [
        { type: 0x02, value: Buffer.from('a.example') },
        { type: 0xe0, value: Buffer.alloc(0) },
        { type: 0x02, value: Buffer.from('b') },
      ],
    },
  )
  const six = Buffer.from('20010db8000000000000000000000007' + '00000000000000000000ffffc0000201' + '9c4001bb', 'hex')
  for (const transport of [0x21, 0x22]) {
    assert.deepEqual(proxied({ transport, addresses: six }), {
      peer: { address: '2001:db8::7', family: 'IPv6', port: 40000 },
      local: { address: '::ffff:192.0.2.1', family: 'IPv6', port: 443 },
      fields: [],
    })
  }
})

test('LOCAL, UNSPEC and UNIX speak of no IP address, and are as long as they say', () => {
  for (const parts of [
    { command: 0x20, transport: 0, addresses: Buffer.alloc(0) },
    { command: 0x20, transport: 0x11 },
    { command: 0x20, transport: 0xff, addresses: Buffer.alloc(7, 0xff) },
    { transport: 0x00, addresses: Buffer.alloc(0) },
    { transport: 0x00, addresses: Buffer.alloc(5) },
    { transport: 0x01, addresses: Buffer.alloc(5) },
    { transport: 0x10 },
    { transport: 0x31, addresses: Buffer.alloc(216), fields: field(1, 'h2') },
    { transport: 0x32, addresses: Buffer.alloc(216) },
  ]) {
    assert.equal(proxied(parts), null, JSON.stringify(parts))
  }
})

test('version 2 that is not exactly right is refused', () => {
  for (const parts of [
    ...[
      { command: 0x11 },
      { command: 0x22 },
      { command: 0x31 },
      { command: 0x2f },
      { transport: 0x41 },
      { transport: 0x13 },
    ],
    ...[{ addresses: IPV4.subarray(1) }, { transport: 0x21 }, { transport: 0x31, addresses: Buffer.alloc(215) }],
    ...[{ fields: Buffer.from([1]) }, { fields: Buffer.from([1, 0]) }, { fields: Buffer.from([1, 0, 1]) }],
    ...[{ fields: Buffer.concat([field(1, 'h2'), Buffer.from([0, 0, 9, 9])]) }, { fields: Buffer.from([4, 0, 1]) }],
    ...[{ fields: field(3, 'abc') }, { fields: field(3, 'abcd') }],
  ]) {
    assert.deepEqual(parse(binary(parts)), MALFORMED, JSON.stringify(parts))
  }
})

test('its length is exact, and limited', () => {
  assert.deepEqual(parseProxyHeader(binary().subarray(0, 16)), { more: 28 })
  const most = PROXY_HEADER_BYTES_MAX - 28 - 3
  assert.ok('found' in parse(binary({ fields: field(4, Buffer.alloc(most)) })))
  assert.deepEqual(parse(binary({ fields: field(4, Buffer.alloc(most + 1)) })), {
    not: 'a PROXY header of more than 4096 bytes',
  })
  assert.deepEqual(parse(binary({ command: 0x20, length: 0xffff })), { not: 'a PROXY header of more than 4096 bytes' })
})

test('a checksum is verified, wherever it stands, and there is one at most', () => {
  // The check value that everybody publishes for this checksum.
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  const sealed = (before: Buffer, after: Buffer): Buffer => {
    const header = binary({ fields: Buffer.concat([before, field(3, Buffer.alloc(4)), after]) })
    number(crc32c(header), 4).copy(header, 28 + before.length + 3)
    return header
  }
  const none = Buffer.alloc(0)
  for (const header of [
    sealed(none, none),
    sealed(field(1, 'h2'), none),
    sealed(field(4, ''), field(2, 'a.example')),
  ]) {
    assert.ok('found' in parse(header))
    for (let at = 16; at < header.length; at++) {
      const changed = Buffer.from(header)
      changed[at] = (changed[at] as number) ^ 0x10
      const parsed = parseProxyHeader(changed)
      // A field may have become one that is no checksum.
      if ('found' in parsed) assert.ok(!parsed.found.proxied?.fields.some(({ type }) => type === 3))
    }
  }
  const twice = sealed(sealed(none, none).subarray(28), none)
  assert.deepEqual(parse(twice), MALFORMED)
})

test('what is no header is said to be none as soon as it shows', () => {
  for (const [text, at] of [
    ['GET / HTTP/1.1\r\n', 1],
    ['PRI * HTTP/2.0\r\n', 3],
    ['\r\nGET', 3],
    ['PROXX', 5],
    ['PROXY\t', 6],
    ['\r\n\r\n\0\r\nQUIX', 11],
    ['\0', 1],
  ] as const) {
    const bytes = bytesOf(text)
    assert.deepEqual(parse(bytes), { not: 'no PROXY header' }, JSON.stringify(text))
    assert.ok('more' in parseProxyHeader(bytes.subarray(0, at - 1)))
    assert.ok('not' in parseProxyHeader(bytes.subarray(0, at)))
  }
})

test('it asks for the shortest that it can be', () => {
  const asked = (text: string): unknown => parseProxyHeader(Buffer.from(text))
  assert.deepEqual(
    [asked(''), asked('P'), asked('\r'), asked('\r\n\r\n\0\r\nQUIT\n')],
    [{ more: 1 }, { more: 15 }, { more: 16 }, { more: 16 }],
  )
  assert.deepEqual(asked('PROXY TCP4 192.0'), { more: 17 })
  assert.deepEqual(asked('PROXY UNKNOWN '.padEnd(PROXY_LINE_BYTES_MAX - 1)), { more: PROXY_LINE_BYTES_MAX })
})
