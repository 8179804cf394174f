/** Socket options: by name with values of the option's type, or raw. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import * as api from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { distinctKinds, familyOf, owned, type SocketKind, typeOf } from '../support/socket-kinds.js'

type Name = api.SocketOptionName
type Value = boolean | number | string | null

/** What is set, where it is not the opposite of a flag; and what is read afterwards, where that is another value. */
const values: Partial<Record<Name, Value | { set: Value; read: Value; from?: Name }>> = {
  SO_BUSY_POLL: 50,
  SO_INCOMING_CPU: 0,
  SO_MARK: 7,
  SO_PEEK_OFF: 3,
  SO_PRIORITY: 3,
  SO_RCVBUF: { set: 20_000, read: 40_000 }, // Linux doubles it for its own needs
  SO_SNDBUF: { set: 20_000, read: 40_000 },
  SO_RCVBUFFORCE: { set: 20_000, read: 40_000, from: 'SO_RCVBUF' },
  SO_SNDBUFFORCE: { set: 20_000, read: 40_000, from: 'SO_SNDBUF' },
  SO_RCVLOWAT: 5,
  SO_TIMESTAMPING: 16,
  SO_RCVTIMEO: 1500,
  SO_SNDTIMEO: 2000,
  SO_LINGER: 5,
  SO_BINDTODEVICE: 'lo',
  IP_MTU_DISCOVER: 0,
  IP_MULTICAST_TTL: 9,
  IP_TOS: 16,
  IP_TTL: 33,
  IPV6_MTU_DISCOVER: 0,
  IPV6_MULTICAST_HOPS: 9,
  IPV6_MULTICAST_IF: 1,
  IPV6_TCLASS: 32,
  IPV6_UNICAST_HOPS: 33,
  TCP_CONGESTION: 'reno',
  TCP_DEFER_ACCEPT: 1,
  TCP_FASTOPEN: 5,
  TCP_KEEPCNT: 4,
  TCP_KEEPIDLE: 33,
  TCP_KEEPINTVL: 5,
  TCP_LINGER2: 20,
  TCP_MAXSEG: 1000,
  TCP_NOTSENT_LOWAT: 5000,
  TCP_SYNCNT: 3,
  TCP_USER_TIMEOUT: 5000,
  UDP_SEGMENT: 500,
}

const readOnly: Name[] = ['SO_ACCEPTCONN', 'SO_COOKIE', 'SO_DOMAIN', 'SO_ERROR', 'SO_PEERCRED', 'SO_PEERPIDFD']
readOnly.push('SO_PEERSEC', 'SO_PROTOCOL', 'SO_SNDLOWAT', 'SO_TYPE', 'IP_MTU', 'IPV6_MTU')
const privileged: Name[] = ['SO_DEBUG', 'SO_MARK', 'SO_RCVBUFFORCE', 'SO_SNDBUFFORCE', 'SO_BINDTODEVICE']
privileged.push('IP_HDRINCL', 'IP_TRANSPARENT', 'SO_BUSY_POLL')

/** What the kernel says of an option that a socket does not have, or that this user may not set. */
const REFUSALS = ['ENOPROTOOPT', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'EPERM', 'EACCES', 'ENOTCONN', 'ENODATA']

const linux = { skip: process.platform !== 'linux' }
const known = (name: Name): boolean => (api as Record<string, unknown>)[name] !== undefined
const fresh = (t: TestContext, kind: SocketKind): api.Descriptor => owned(t, api.socket(familyOf(kind), typeOf(kind)))

/** Whether the call went through; a refusal of the kernel's is no failure, anything else is. */
function taken(call: () => void): boolean {
  try {
    call()
    return true
  } catch (error) {
    assert.ok(error instanceof api.SyscallError && REFUSALS.includes(error.code), String(error))
    return false
  }
}

/** Sets an option by name and reads it back; false where the socket does not have it. */
function roundTrip(socket: api.Descriptor, name: Name): boolean {
  const row = values[name]
  const plain = typeof row !== 'object' || row === null
  const from = plain ? name : (row.from ?? name)
  let set = plain ? row : row.set
  if (set === undefined && !taken(() => (set = !api.getsockopt(socket, name)))) return false
  if (!taken(() => api.setsockopt(socket, name, set as never))) return false
  assert.equal(api.getsockopt(socket, from), plain ? set : row.read, name)
  return true
}

test('every option that can be set is read as it was set, on some kind of socket', linux, (t) => {
  noLeak(t)
  const done = new Set<Name>()
  for (const name of api.socketOptionNames.filter(known)) {
    for (const kind of distinctKinds) {
      const socket = fresh(t, kind)
      if (!readOnly.includes(name) && roundTrip(socket, name)) done.add(name)
      socket.close()
    }
  }
  const raw: api.Descriptor[] = []
  if (taken(() => raw.push(owned(t, api.socket(api.AF_INET, api.SOCK_RAW, api.IPPROTO_ICMP))))) {
    if (roundTrip(raw[0] as api.Descriptor, 'IP_HDRINCL')) done.add('IP_HDRINCL')
  }
  const unneeded = process.getuid?.() === 0 ? readOnly : [...readOnly, ...privileged]
  const missed = api.socketOptionNames.filter((name) => known(name) && !done.has(name) && !unneeded.includes(name))
  assert.deepEqual(missed, [])
})

for (const kind of distinctKinds) {
  test(`every option that a connected socket has is read as a value of its type: ${kind.name}`, linux, async (t) => {
    noLeak(t)
    const { left } = await kind.pair(t)
    for (const name of api.socketOptionNames.filter(known)) {
      taken(() => {
        const value: unknown = api.getsockopt(left, name)
        if (name === 'SO_PEERPIDFD') return api.close(value as number)
        if (name === 'SO_COOKIE') return assert.equal(typeof value, 'bigint')
        if (name === 'SO_PEERCRED') return assert.deepEqual(Object.keys(value as object), ['pid', 'uid', 'gid'])
        if (name === 'SO_LINGER') return assert.equal(value, null)
        const row = values[name]
        const like = typeof row === 'object' && row !== null ? row.set : row
        const text = name === 'SO_PEERSEC'
        const type = text ? 'string' : typeof (like ?? (readOnly.includes(name) ? 0 : false))
        assert.equal(typeof value, name === 'SO_ACCEPTCONN' ? 'boolean' : type, name)
      })
    }
    assert.equal(api.getsockopt(left, 'SO_TYPE'), typeOf(kind))
    assert.equal(api.getsockopt(left, 'SO_DOMAIN'), familyOf(kind))
    assert.equal(api.getsockopt(left, 'SO_ERROR'), 0)
    assert.equal(api.getsockopt(left, 'SO_COOKIE'), api.getsockopt(left, 'SO_COOKIE'))
  })
}

test('a value of another type is refused with the name of the option', linux, (t) => {
  noLeak(t)
  const socket = owned(t, api.socket(api.AF_INET))
  const set = api.setsockopt as (socket: api.Descriptor, name: string, value: unknown) => void
  for (const name of api.socketOptionNames.filter(known)) {
    for (const value of [undefined, 1n, {}, [], Symbol('x'), () => 1]) {
      assert.throws(
        () => set(socket, name, value),
        (error: Error) => error.name === 'TypeError' && error.message.includes(name),
        `${name} = ${String(value)}`,
      )
    }
  }
  for (const [name, value, kind, message] of [
    ['SO_KEEPALIVE', 1, 'TypeError', 'value of SO_KEEPALIVE: true or false, not 1'],
    ['SO_RCVBUF', true, 'TypeError', 'value of SO_RCVBUF: a whole number from -2147483648 to 2147483647, not true'],
    ['SO_RCVBUF', 2 ** 31, 'RangeError', /^value of SO_RCVBUF: .*, not 2147483648$/],
    ['SO_RCVBUF', 1.5, 'RangeError', /^value of SO_RCVBUF: .*, not 1.5$/],
    ['TCP_CONGESTION', 5, 'TypeError', 'value of TCP_CONGESTION: text, not 5'],
    ['SO_LINGER', -1, 'RangeError', /^value of SO_LINGER in seconds: .*, not -1$/],
    ['SO_LINGER', '5', 'TypeError', /^value of SO_LINGER in seconds: .*, not the string "5"$/],
    ['SO_RCVTIMEO', 0.5, 'RangeError', /^value of SO_RCVTIMEO in milliseconds: .*, not 0.5$/],
    ['SO_COOKIE', 1n, 'TypeError', /^option: one that can be set, not SO_COOKIE/],
    ['SO_NONE', 1, 'TypeError', /^option: the name of a socket option.*, not the string "SO_NONE"$/],
    ['SOCK_STREAM', 1, 'TypeError', /^option: the name of a socket option/],
    ['__proto__', 1, 'TypeError', /^option: the name of a socket option/],
  ] as const) {
    assert.throws(() => set(socket, name, value), { name: kind, message })
  }
  assert.throws(() => api.getsockopt(socket, 'toString' as Name), { name: 'TypeError', message: /^option: / })
})

test('linger is seconds, or null for none; both are read back', (t) => {
  noLeak(t)
  const socket = owned(t, api.socket(api.AF_INET))
  for (const seconds of [0, 7, null]) {
    api.setsockopt(socket, 'SO_LINGER', seconds)
    assert.equal(api.getsockopt(socket, 'SO_LINGER'), seconds)
  }
})

test('raw options are integers, or bytes of any shape where a size is asked for', (t) => {
  noLeak(t)
  const socket = owned(t, api.socket(api.AF_INET))
  assert.equal(api.getsockopt(socket, api.SOL_SOCKET, api.SO_TYPE), api.SOCK_STREAM)
  const asBytes = Buffer.from(new Int32Array([api.SOCK_STREAM]).buffer)
  assert.deepEqual(api.getsockopt(socket, api.SOL_SOCKET, api.SO_TYPE, 4), asBytes)
  assert.deepEqual(api.getsockopt(socket, api.SOL_SOCKET, api.SO_TYPE, 100), asBytes)
  assert.deepEqual(api.getsockopt(socket, api.SOL_SOCKET, api.SO_TYPE, 0), Buffer.alloc(0))
  const wanted = new Int32Array([1, 9])
  for (const value of [wanted, wanted.buffer, new DataView(wanted.buffer), Buffer.from(wanted.buffer)]) {
    api.setsockopt(socket, 'SO_LINGER', null)
    api.setsockopt(socket, api.SOL_SOCKET, api.SO_LINGER, value)
    assert.equal(api.getsockopt(socket, 'SO_LINGER'), 9)
  }
  api.setsockopt(socket, api.SOL_SOCKET, api.SO_KEEPALIVE, 1)
  assert.equal(api.getsockopt(socket, 'SO_KEEPALIVE'), true)
  api.setsockopt(socket, api.IPPROTO_TCP, api.TCP_NODELAY, Buffer.from(new Int32Array([1]).buffer))
  assert.equal(api.getsockopt(socket, 'TCP_NODELAY'), true)
  if (api.TCP_INFO !== undefined) assert.ok(api.getsockopt(socket, api.IPPROTO_TCP, api.TCP_INFO, 1024).length > 100)
})

test('an option that the kernel does not know is its error, and the call is named', (t) => {
  noLeak(t)
  const socket = owned(t, api.socket(api.AF_INET))
  const refused = { name: 'SyscallError', code: 'ENOPROTOOPT' }
  assert.throws(() => api.getsockopt(socket, api.SOL_SOCKET, 9999), { ...refused, syscall: 'getsockopt' })
  assert.throws(() => api.getsockopt(socket, api.SOL_SOCKET, 9999, 8), { ...refused, syscall: 'getsockopt' })
  assert.throws(() => api.setsockopt(socket, api.SOL_SOCKET, 9999, 1), { ...refused, syscall: 'setsockopt' })
  const short = { code: 'EINVAL', syscall: 'setsockopt' }
  assert.throws(() => api.setsockopt(socket, api.SOL_SOCKET, api.SO_KEEPALIVE, Buffer.alloc(1)), short)
})
