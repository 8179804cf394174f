import assert from 'node:assert/strict'
import test from 'node:test'
import { addressKey } from '../../src/handshake/address-key.js'
import type { HttpKey } from '../../src/handshake/http-key.js'
import { httpRequestHead } from '../../src/handshake/http-request-head.js'
import type { Verdict } from '../../src/handshake/verdict.js'
import { inspected } from '../support/first-bytes.js'
import { request } from '../support/heads.js'

const keyed = (key: HttpKey | HttpKey[], bytes: Buffer, peer: string | null = '192.0.2.7'): Verdict =>
  httpRequestHead({ routes: [{ to: {} }], key })(bytes, inspected(peer))
const RANDOM = 'abcdefghijklmnopqrstuv-_'

test('a key is a cookie, a header, a parameter, the address or what a function says', () => {
  const bytes = request('/x?a=1&b=%C3%A9+2&a=3&c', 'a', 'X-User: u1', 'x-user: u2', 'Cookie: sid="s1"; t=2')
  for (const [key, value] of [
    [{ cookie: 'sid' }, 's1'],
    [{ header: 'x-USER' }, 'u1'],
    [{ query: 'a' }, '1'],
    [{ query: 'b' }, 'é 2'],
    ['address', '192.0.2.7/32'],
    [{ address: { v4: 8 } }, '192.0.0.0/8'],
    [({ host, path }) => host + path, 'a/x'],
    [(_, { peer }) => peer?.address, '192.0.2.7'],
  ] as [HttpKey, string][]) {
    assert.deepEqual(keyed(key, bytes), { key: value })
  }
})

test('no value, or an empty one, is no key; of several the first that there is counts', () => {
  const bytes = request('/?c', 'a', 'Cookie: empty=; t=2')
  const none: HttpKey[] = [
    { cookie: 'sid' },
    { cookie: 'empty' },
    { header: 'x' },
    { query: 'a' },
    { query: 'c' },
    () => undefined,
  ]
  for (const key of none) assert.deepEqual(keyed(key, bytes), {})
  assert.deepEqual(keyed('address', bytes, null), {})
  assert.deepEqual(keyed([...none, { cookie: 't' }, 'address'], bytes), { key: '2' })
  assert.deepEqual(keyed([], bytes), {})
})

test('a session id leads to the worker that made it, and is the key too', () => {
  const id = `3~${RANDOM}`
  assert.deepEqual(keyed({ cookie: 'sid' }, request('/', 'a', `Cookie: sid=${id}`)), { worker: '3', key: id })
  assert.deepEqual(keyed({ query: 'sid' }, request(`/socket.io/?EIO=4&sid=${id}`)), { worker: '3', key: id })
  const signed = `s%3A${id}.c2lnbmF0dXJl`
  assert.deepEqual(keyed({ cookie: 'sid' }, request('/', 'a', `Cookie: sid=${signed}`)), { worker: '3', key: signed })
})

test('an address counts by as many bits as are asked for; IPv4 written as IPv6 is IPv4', () => {
  for (const [address, bits, key] of [
    ['192.0.2.7', {}, '192.0.2.7/32'],
    ['192.0.2.7', { v4: 24 }, '192.0.2.0/24'],
    ['192.0.2.7', { v4: 31 }, '192.0.2.6/31'],
    ['192.0.2.7', { v4: 0 }, '0.0.0.0/0'],
    ['::ffff:192.0.2.7', {}, '192.0.2.7/32'],
    ['2001:db8:1:2:3:4:5:6', {}, '2001:db8:1:2::/64'],
    ['2001:db8:1:2:3:4:5:6', { v6: 48 }, '2001:db8:1::/48'],
    ['2001:db8:1:2:3:4:5:6', { v6: 128 }, '2001:db8:1:2:3:4:5:6/128'],
    ['fe80::1%eth0', { v6: 128 }, 'fe80::1/128'],
    ['::1', { v6: 1 }, '::/1'],
  ] as const) {
    assert.equal(addressKey(inspected(address), bits), key)
  }
  assert.equal(addressKey(inspected(null)), undefined)
})

test('bits that an address does not have are refused', () => {
  assert.throws(() => addressKey(inspected(), { v4: 33 }), RangeError)
  assert.throws(() => addressKey(inspected(), { v6: -1 }), RangeError)
  assert.throws(() => addressKey(inspected(), { v6: '64' as never }), TypeError)
  assert.throws(() => addressKey(inspected(), { bits: 3 } as never), TypeError)
})
