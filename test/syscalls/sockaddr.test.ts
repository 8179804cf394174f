import assert from 'node:assert/strict'
import { SocketAddress } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import * as exchange from '../../src/syscalls/exchange.js'
import { kernel } from '../../src/syscalls/kernel.js'
import { type Address, type AddressLike, decodeSockaddr, encodeSockaddr } from '../../src/syscalls/sockaddr.js'

const RUNS = { numRuns: 500, includeErrorInReport: true }
const LINUX = process.platform === 'linux'
const PATH_MAX = LINUX ? 108 : 104

const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max })
const port = between(0, 0xffff)
const u32 = between(0, 0xffffffff)
/** Text of at most so many bytes as UTF-8, without a zero. */
const text = (most: number): fc.Arbitrary<string> =>
  fc
    .string({ unit: 'binary', maxLength: most })
    .filter((name) => !name.includes('\0') && Buffer.byteLength(name) <= most)

/** Encodes, spoils what was in the exchange behind it, and decodes from a place of its own. */
function carried(address: AddressLike): Address | null {
  const length = encodeSockaddr(address)
  const bytes = Buffer.alloc(length + 40, 0xa5)
  bytes.set(exchange.address.subarray(0, length), 7)
  return decodeSockaddr(bytes, 7, length)
}

test('an IPv4 address comes back as it was', () => {
  fc.assert(
    fc.property(fc.ipV4(), port, fc.boolean(), (address, port, named) => {
      assert.deepEqual(carried(named ? { family: 'IPv4', address, port } : { address, port }), {
        family: 'IPv4',
        address,
        port,
      })
    }),
    RUNS,
  )
})

test('an IPv6 address comes back with scope and flow, which are left out when they are 0', () => {
  fc.assert(
    fc.property(fc.ipV6(), port, u32, u32, fc.boolean(), (address, port, scopeId, flowInfo, asText) => {
      const wanted = {
        family: 'IPv6',
        address: new SocketAddress({ address, family: 'ipv6' }).address,
        port,
        ...(scopeId === 0 ? {} : { scopeId }),
        ...(flowInfo === 0 ? {} : { flowInfo }),
      }
      const given =
        asText && scopeId > 0
          ? { address: `${address}%${scopeId}`, port, flowInfo }
          : { address, port, scopeId, flowInfo }
      assert.deepEqual(carried(given), wanted)
    }),
    RUNS,
  )
})

test('a path comes back as it was, whatever text it is', () => {
  fc.assert(
    fc.property(text(PATH_MAX), (path) => {
      assert.deepEqual(carried({ path }), path === '' ? null : { family: 'unix', path })
    }),
    RUNS,
  )
})

test('an abstract name comes back whole, zero bytes and all', { skip: !LINUX }, () => {
  const names = fc
    .array(fc.oneof(fc.constant('\0'), fc.string({ unit: 'binary', maxLength: 20 })), { maxLength: 20 })
    .map((parts) => `\0${parts.join('')}`)
    .filter((name) => Buffer.byteLength(name) <= PATH_MAX)
  fc.assert(
    fc.property(names, (path) => assert.deepEqual(carried({ family: 'unix', path }), { family: 'unix', path })),
    RUNS,
  )
})

test('any bytes are an address or none, and an address that was read is written to the same again', () => {
  const families = fc.constantFrom(0, 1, 2, 10, 16, 17, 40)
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 128 }),
    fc.tuple(families, fc.uint8Array({ maxLength: 126 })).map(([family, rest]) => Uint8Array.of(family, 0, ...rest)),
  )
  fc.assert(
    fc.property(bytes, between(0, 5), (given, offset) => {
      const memory = Buffer.concat([Buffer.alloc(offset, 0xa5), given, Buffer.alloc(5, 0xa5)])
      const address = decodeSockaddr(memory, offset, given.length)
      if (address === null) return
      // Longer than what a path may have when it is given: the kernel would have to be told without a terminator.
      if (address.family === 'unix' && Buffer.byteLength(address.path) > PATH_MAX) return
      assert.deepEqual(carried(address), address)
    }),
    RUNS,
  )
})

test('bytes of a family that is not known come back as they were', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 126 })
  fc.assert(
    fc.property(bytes, (rest) => {
      const raw: Address = { family: 'raw', bytes: Buffer.of(0, 0x7f, ...rest) }
      assert.deepEqual(carried(raw), raw)
    }),
    RUNS,
  )
})

test('a name that is no UTF-8 comes back as bytes', { skip: !LINUX }, () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 100 }).map((rest) => Buffer.of(1, 0, 0x2f, 0xff, ...rest))
  fc.assert(
    fc.property(bytes, (bytes) => {
      assert.deepEqual(carried({ family: 'raw', bytes }), { family: 'raw', bytes })
    }),
    RUNS,
  )
})

test('an interface is found by its name', {
  skip: kernel.interfaceIndex('lo') <= 0 && 'there is no interface lo',
}, () => {
  const scopeId = kernel.interfaceIndex('lo')
  assert.deepEqual(carried({ address: 'fe80::1%lo', port: 1 }), {
    family: 'IPv6',
    address: 'fe80::1',
    port: 1,
    scopeId,
  })
})

const wrong: [name: string, address: unknown, error: typeof TypeError, named: RegExp][] = [
  ['null', null, TypeError, /^address: an object such as .* not null$/],
  ['text', '127.0.0.1:80', TypeError, /^address: an object such as .* "127.0.0.1:80"$/],
  ['an unknown family', { family: 'ipx' }, TypeError, /^address\.family: .* "ipx"$/],
  ['a host without an address', { port: 1 }, TypeError, /^address\.address: .* not undefined$/],
  ['a host name', { address: 'localhost', port: 1 }, TypeError, /^address\.address: .* "localhost"$/],
  ['IPv6 called IPv4', { family: 'IPv4', address: '::1', port: 1 }, TypeError, /^address\.address: .*IPv4 .* "::1"$/],
  ['IPv4 called IPv6', { family: 'IPv6', address: '1.2.3.4', port: 1 }, TypeError, /^address\.address: .*IPv6 /],
  ['no port', { address: '127.0.0.1' }, TypeError, /^address\.port: .* not undefined$/],
  ['a port of 65536', { address: '127.0.0.1', port: 65536 }, RangeError, /^address\.port: .* not 65536$/],
  ['a negative port', { address: '::1', port: -1 }, RangeError, /^address\.port: .* not -1$/],
  ['a scope beyond 32 bits', { address: '::1', port: 1, scopeId: 2 ** 32 }, RangeError, /^address\.scopeId: /],
  ['flow as text', { address: '::1', port: 1, flowInfo: '1' }, TypeError, /^address\.flowInfo: /],
  ['an unknown interface', { address: '::1%no-such-one', port: 1 }, RangeError, /^address\.address: .* "no-such-one"$/],
  ['an interface without a name', { address: 'fe80::1%', port: 1 }, RangeError, /^address\.address: .* ""$/],
  ['an interface of 2^32', { address: 'fe80::1%4294967296', port: 1 }, RangeError, /^address\.address: /],
  ['two scopes', { address: 'fe80::1%1%2', port: 1 }, RangeError, /^address\.address: .* "1%2"$/],
  ['a path that is no text', { path: 1 }, TypeError, /^address\.path: text, not 1$/],
  ['a path too long', { path: 'x'.repeat(PATH_MAX + 1) }, RangeError, /^address\.path: at most \d+ bytes/],
  ['a path too long in bytes', { path: 'é'.repeat(PATH_MAX) }, RangeError, /^address\.path: at most \d+ bytes/],
  ['a zero in a path', { path: '/a\0b' }, TypeError, /^address\.path: a zero byte only in front/],
  ['raw without bytes', { family: 'raw', bytes: [1, 2] }, TypeError, /^address\.bytes: /],
  ['raw of one byte', { family: 'raw', bytes: Buffer.of(1) }, RangeError, /^address\.bytes: .* not 1$/],
  ['raw of 129 bytes', { family: 'raw', bytes: Buffer.alloc(129) }, RangeError, /^address\.bytes: .* not 129$/],
]

for (const [name, address, error, named] of wrong) {
  test(`${name} is refused by the name of the field`, () => {
    assert.throws(
      () => encodeSockaddr(address as AddressLike),
      (thrown: Error) => {
        assert.match(thrown.message, named)
        return thrown.constructor === error
      },
    )
  })
}
