/** Addresses: of every family, as they are given, received and asked for. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import * as api from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { scratch } from '../support/paths.js'
import { familyOf, owned, receive, send, socketKinds } from '../support/socket-kinds.js'

const byte = Buffer.from('x')
const linux = { skip: process.platform !== 'linux' }

function datagram(t: TestContext, family: number, address?: api.AddressLike): api.Descriptor {
  const descriptor = owned(t, api.socket(family, api.SOCK_DGRAM))
  if (address !== undefined) api.bind(descriptor, address)
  return descriptor
}

for (const kind of socketKinds) {
  test(`a socket tells its family, its name and its peer's, and a message its sender: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    for (const socket of [ends.left, ends.right]) assert.equal(api.getSocketFamily(socket), familyOf(kind))
    send(ends, byte)
    assert.deepEqual((await receive(ends.right)).address, ends.from)
    if (ends.to === undefined) {
      assert.deepEqual(api.getpeername(ends.right), api.getsockname(ends.left))
      if (ends.from !== null) assert.deepEqual(api.getsockname(ends.left), ends.from)
    } else {
      assert.deepEqual(api.getsockname(ends.right), ends.to)
      assert.deepEqual(api.getsockname(ends.left), ends.from)
      assert.throws(() => api.getpeername(ends.right), { code: 'ENOTCONN', syscall: 'getpeername' })
    }
  })
}

for (const kind of socketKinds.filter(({ ends, name }) => !ends && !/connected|pair/.test(name))) {
  test(`an address of raw bytes is as good as the one that is spelled: ${kind.name}`, linux, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    assert.ok(ends.to !== undefined)
    assert.equal(api.sendmsg(ends.left, byte, undefined, 0, { family: 'raw', bytes: rawOf(ends.to) }), 1)
    assert.deepEqual((await receive(ends.right)).address, ends.from)
  })
}

/** An address as Linux writes it, put together by hand. */
function rawOf(address: api.Address): Uint8Array {
  const family = { IPv4: api.AF_INET, IPv6: api.AF_INET6, unix: api.AF_UNIX, raw: 0 }[address.family]
  const head = Buffer.from(new Uint16Array([family]).buffer)
  if (address.family === 'unix') return Buffer.concat([head, Buffer.from(address.path)])
  if (address.family === 'raw') return address.bytes
  const port = Buffer.from([address.port >> 8, address.port & 0xff])
  if (address.family === 'IPv4') {
    return Buffer.concat([head, port, Buffer.from(address.address.split('.').map(Number)), Buffer.alloc(8)])
  }
  return Buffer.concat([head, port, Buffer.alloc(4 + 15), Buffer.from([1]), Buffer.alloc(4)])
}

test('a datagram without a destination is an error', (t) => {
  noLeak(t)
  for (const [family, code] of [
    [api.AF_INET, 'EDESTADDRREQ'],
    [api.AF_INET6, 'EDESTADDRREQ'],
    [api.AF_UNIX, 'ENOTCONN'],
  ] as const) {
    assert.throws(() => api.sendmsg(datagram(t, family), byte), { code, syscall: 'sendmsg' })
  }
})

test('an error of a send names the address', (t) => {
  noLeak(t)
  const path = join(scratch(t), 'nobody')
  const unix = datagram(t, api.AF_UNIX)
  const place = { code: 'ENOENT', syscall: 'sendmsg', address: path }
  assert.throws(() => api.sendmsg(unix, byte, [], 0, { path }), place)
  const hidden = { code: 'ECONNREFUSED', syscall: 'sendmsg', address: '@nobody\0' }
  const name = `\0${randomUUID()}\0`
  assert.throws(() => api.sendmsg(unix, byte, [], 0, { path: name }), { ...hidden, address: name.replace('\0', '@') })
  const ipv4 = datagram(t, api.AF_INET)
  const wrong = { address: '::1', port: 9 }
  assert.throws(() => api.sendmsg(ipv4, byte, [], 0, wrong), { code: 'EAFNOSUPPORT', ...wrong })
})

test('a sender without a name is received from null', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'named')
  const right = datagram(t, api.AF_UNIX, { path })
  const left = datagram(t, api.AF_UNIX)
  assert.equal(api.getsockname(left), null)
  api.sendmsg(left, byte, [], 0, { path })
  assert.equal((await receive(right)).address, null)
})

test('every byte of an abstract name counts, also zeros at its end', linux, async (t) => {
  noLeak(t)
  const name = `\0${randomUUID()}`
  const longest = `${name}${'n'.repeat(108 - name.length)}`
  const names = [name, `${name}\0`, `${name}\0\0`, `${name}\0middle\0`, longest]
  const sockets = names.map((path) => datagram(t, api.AF_UNIX, { path }))
  for (const [i, path] of names.entries()) {
    assert.deepEqual(api.getsockname(sockets[i] as api.Descriptor), { family: 'unix', path })
    const sender = sockets[(i + 1) % names.length] as api.Descriptor
    api.sendmsg(sender, Buffer.from(`to ${i}`), [], 0, { path })
    const got = await receive(sockets[i] as api.Descriptor)
    const from = { family: 'unix', path: names[(i + 1) % names.length] }
    assert.deepEqual([got.data.toString(), got.address], [`to ${i}`, from])
  }
})

test('the longest path there may be is a name like any other', async (t) => {
  noLeak(t)
  const most = process.platform === 'linux' ? 108 : 104
  const folder = scratch(t)
  const path = join(folder, 'p'.repeat(most - folder.length - 1))
  const right = datagram(t, api.AF_UNIX, { path })
  assert.deepEqual(api.getsockname(right), { family: 'unix', path })
  api.sendmsg(right, byte, [], 0, { family: 'unix', path })
  assert.deepEqual((await receive(right)).address, { family: 'unix', path })
})

test('bound to no path at all, a socket gets an abstract name of the kernel’s', linux, async (t) => {
  noLeak(t)
  const [left, right] = [0, 1].map(() => datagram(t, api.AF_UNIX, { path: '' })) as [api.Descriptor, api.Descriptor]
  const name = api.getsockname(right)
  assert.ok(name?.family === 'unix' && /^\0[0-9a-f]{5}$/.test(name.path), JSON.stringify(name))
  assert.notDeepEqual(name, api.getsockname(left))
  api.sendmsg(left, byte, [], 0, name)
  assert.deepEqual((await receive(right)).address, api.getsockname(left))
})

test('a name that is no text is received raw, and can be answered as it is', linux, async (t) => {
  noLeak(t)
  const head = Buffer.from(new Uint16Array([api.AF_UNIX]).buffer)
  const bytes = Buffer.concat([head, Buffer.from([0, 0xff, 0xfe]), Buffer.from(randomUUID())])
  const left = datagram(t, api.AF_UNIX, { family: 'raw', bytes })
  const right = datagram(t, api.AF_UNIX, { path: '' })
  assert.deepEqual(api.getsockname(left), { family: 'raw', bytes })
  api.sendmsg(left, byte, [], 0, api.getsockname(right) as api.Address)
  const { address } = await receive(right)
  assert.deepEqual(address, { family: 'raw', bytes })
  api.sendmsg(right, byte, [], 0, address as api.Address)
  assert.equal((await receive(left)).data.length, 1)
})

test('a scope behind an address that needs none is taken, and left out of what is told', linux, async (t) => {
  noLeak(t)
  for (const address of ['::1%lo', '::1%1']) {
    const right = datagram(t, api.AF_INET6, { address, port: 0 })
    const { port } = api.getsockname(right) as api.Ipv6Address
    assert.deepEqual(api.getsockname(right), { family: 'IPv6', address: '::1', port })
    api.sendmsg(right, byte, [], 0, { address, port })
    assert.deepEqual((await receive(right)).address, { family: 'IPv6', address: '::1', port })
  }
})

test('addresses are told in their shortest form, whatever form they were given in', (t) => {
  noLeak(t)
  for (const [given, told] of [
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::ffff:127.0.0.1', '::ffff:127.0.0.1'],
    ['::FFFF:7f00:1', '::ffff:127.0.0.1'],
    ['::', '::'],
  ] as const) {
    const socket = datagram(t, api.AF_INET6, { address: given, port: 0 })
    assert.equal((api.getsockname(socket) as api.Ipv6Address).address, told)
  }
})
