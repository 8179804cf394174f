import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, constants, mkdirSync, openSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import * as api from '../../src/sendmsg/index.js'
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  IPPROTO_TCP,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from '../../src/syscalls/constants.js'
import { identify, parseIdentity, type SocketIdentity, sameIdentity } from '../../src/syscalls/identity.js'
import { pidfdOpen } from '../../src/syscalls/pidfd.js'
import { noLeak } from '../support/descriptors.js'
import { root, scratch } from '../support/paths.js'
import { program } from '../support/programs.js'
import { owned, socketKinds } from '../support/socket-kinds.js'

const who = (descriptor: api.Descriptor): string => identify(descriptor.fd)

function parsed(text: string): SocketIdentity {
  const identity = parseIdentity(text)
  assert.ok(identity?.socket, text)
  return identity
}

function opened(t: TestContext, path: string, flags = 0): number {
  const descriptor = openSync(path, flags)
  t.after(() => closeSync(descriptor))
  return descriptor
}

function socket(t: TestContext, family: number, type: number, address?: api.AddressLike): api.Descriptor {
  const descriptor = owned(t, api.socket(family, type))
  if (address !== undefined) api.bind(descriptor, address)
  return descriptor
}

function listener(t: TestContext, family: number, address: api.AddressLike): api.Descriptor {
  const descriptor = socket(t, family, SOCK_STREAM, address)
  api.listen(descriptor)
  return descriptor
}

/** What another process computes of descriptors that it inherits. */
function elsewhere(t: TestContext, descriptors: number[]): string[] {
  const script = program(
    t,
    `import { identify } from ${JSON.stringify(pathToFileURL(join(root, 'dist/src/syscalls/identity.js')).href)}
    console.log(JSON.stringify(process.argv.slice(2).map((number) => identify(Number(number)))))`,
  )
  const numbers = descriptors.map((_, i) => String(i + 3))
  const stdio = ['ignore', 'pipe', 'inherit', ...descriptors] as ('ignore' | 'pipe' | 'inherit' | number)[]
  return JSON.parse(spawnSync(process.execPath, [script, ...numbers], { stdio, encoding: 'utf8' }).stdout)
}

test('two processes compute one identity of whatever they share', async (t) => {
  noLeak(t)
  const descriptors: number[] = []
  for (const kind of socketKinds) {
    const { left, right } = await kind.pair(t)
    descriptors.push(left.fd, right.fd)
  }
  descriptors.push(listener(t, AF_INET, { address: '127.0.0.1', port: 0 }).fd)
  descriptors.push(listener(t, AF_UNIX, { path: join(scratch(t), 'socket') }).fd)
  descriptors.push(opened(t, process.execPath), opened(t, root), opened(t, '/dev/null'))
  const here = descriptors.map((descriptor) => identify(descriptor))
  assert.deepEqual(elsewhere(t, descriptors), here)
  assert.equal(new Set(here).size, here.length, 'and none is another')
  for (const text of here) assert.ok(parseIdentity(text) !== null, text)
})

test('a copy is who its original is; a second socket between the same places is not', (t) => {
  noLeak(t)
  const [one, other] = api.socketpair().map((end) => owned(t, end)) as [api.Descriptor, api.Descriptor]
  const copy = owned(t, api.dup(one))
  assert.equal(who(copy), who(one))
  assert.ok(!sameIdentity(who(one), who(other)))
})

test('a socket is told by its kind, whether it listens, and both addresses', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'ä b')
  const abstract = `\0handover-${process.pid}\0`
  const hex = (name: string): string => `unix:${Buffer.from(name).toString('hex')}`
  const rows: [found: api.Descriptor, expected: Partial<SocketIdentity>][] = [
    [
      listener(t, AF_UNIX, { path }),
      { family: AF_UNIX, socketType: SOCK_STREAM, protocol: 0, listening: true, local: hex(path), peer: null },
    ],
    [listener(t, AF_UNIX, { path: abstract }), { listening: true, local: hex(abstract) }],
    [socket(t, AF_UNIX, SOCK_SEQPACKET), { socketType: SOCK_SEQPACKET, listening: false, local: null, peer: null }],
    [
      socket(t, AF_INET, SOCK_STREAM),
      { family: AF_INET, protocol: IPPROTO_TCP, listening: false, local: '0.0.0.0:0', peer: null },
    ],
    [socket(t, AF_INET6, SOCK_DGRAM), { family: AF_INET6, socketType: SOCK_DGRAM, local: '[::]:0' }],
  ]
  for (const [found, expected] of rows) {
    const identity = parsed(who(found))
    assert.deepEqual({ ...identity, ...expected }, identity)
    if (process.platform === 'linux')
      assert.equal(BigInt(identity.cookie), api.getsockopt(found, 'SO_COOKIE'), 'the kernel’s own count')
  }
  if (process.platform !== 'linux') return
  const netlink = parsed(who(socket(t, AF_NETLINK, SOCK_RAW)))
  assert.match(netlink.local ?? '', /^raw:(1000|0010)/)
})

test('a connection is told by both ends, IPv4 over IPv6 too', async (t) => {
  noLeak(t)
  const ways: [family: number, at: string, from: number, to: string, written: string][] = [
    [AF_INET, '127.0.0.1', AF_INET, '127.0.0.1', '127.0.0.1'],
    [AF_INET6, '::1', AF_INET6, '::1', '[::1]'],
    [AF_INET6, '::', AF_INET, '127.0.0.1', '[::ffff:127.0.0.1]'],
  ]
  for (const [family, at, from, to, written] of ways) {
    const server = listener(t, family, { address: at, port: 0 })
    const { port } = api.getsockname(server) as { port: number }
    const client = socket(t, from, SOCK_STREAM)
    api.connect(client, { address: to, port })
    await api.readable(server)
    const connection = owned(t, api.accept(server)?.descriptor as api.Descriptor)
    const { port: clientPort } = api.getsockname(client) as { port: number }
    const { listening, local, peer } = parsed(who(connection))
    assert.deepEqual(
      { listening, local, peer },
      { listening: false, local: `${written}:${port}`, peer: `${written}:${clientPort}` },
    )
  }
})

test('the longest names fit', async (t) => {
  noLeak(t)
  const name = (end: string): string => `\0${`handover-${process.pid}-${end}`.padEnd(107, '.')}`
  const server = listener(t, AF_UNIX, { path: name('server') })
  const client = socket(t, AF_UNIX, SOCK_STREAM, { path: name('client') })
  api.connect(client, api.getsockname(server) as api.Address)
  const { local, peer } = parsed(who(client))
  assert.deepEqual([local?.length, peer?.length], [5 + 216, 5 + 216])
})

test('what is no socket is told by its device, inode and type', (t) => {
  noLeak(t)
  const folder = scratch(t)
  writeFileSync(join(folder, 'regular'), '')
  mkdirSync(join(folder, 'directory'))
  symlinkSync('regular', join(folder, 'link'))
  assert.equal(spawnSync('mkfifo', [join(folder, 'fifo')]).status, 0)
  const O_PATH = 0o10000000
  const things: [type: string, descriptor: number][] = [
    ['regular', opened(t, join(folder, 'regular'))],
    ['directory', opened(t, join(folder, 'directory'))],
    ['fifo', opened(t, join(folder, 'fifo'), constants.O_RDWR)],
    ['character', opened(t, '/dev/null')],
    ['link', opened(t, join(folder, 'link'), O_PATH | constants.O_NOFOLLOW)],
  ]
  for (const [type, descriptor] of things) {
    const file = type === 'character' ? '/dev/null' : join(folder, type)
    const { dev, ino } =
      type === 'link' ? { dev: statSync(folder).dev, ino: /\d+/.exec(inodeOf(file)) } : statSync(file)
    assert.equal(identify(descriptor), `file ${dev} ${ino} ${type}`)
    assert.deepEqual(parseIdentity(identify(descriptor)), {
      socket: false,
      device: String(dev),
      inode: String(ino),
      type,
    })
  }
  const pidfd = pidfdOpen(process.pid)
  assert.match(identify(pidfd), /^file \d+ \d+ other$/)
  closeSync(pidfd)
})

/** Of the link itself. */
function inodeOf(link: string): string {
  return spawnSync('stat', ['-c', '%i', link], { encoding: 'utf8' }).stdout
}

test('a descriptor that is not open is EBADF, and the error starts at the call', () => {
  for (const number of [99_999, -1]) {
    assert.throws(
      () => identify(number),
      (error: api.SyscallError) => {
        assert.deepEqual([error.code, error.syscall], ['EBADF', 'fstat'])
        assert.match(error.stack?.split('\n')[1] ?? '', /identity\.test/)
        return true
      },
    )
  }
})

test('a connection whose client has gone is the one it was', async (t) => {
  noLeak(t)
  const server = listener(t, AF_INET, { address: '127.0.0.1', port: 0 })
  const client = socket(t, AF_INET, SOCK_STREAM)
  api.connect(client, api.getsockname(server) as api.Address)
  await api.readable(server)
  const connection = owned(t, api.accept(server)?.descriptor as api.Descriptor)
  const announced = who(connection)
  api.setsockopt(client, 'SO_LINGER', 0) // its end is a reset
  client.close()
  await api.readable(connection)
  const found = who(connection)
  assert.equal(parsed(found).peer, null, found)
  assert.ok(sameIdentity(announced, found) && sameIdentity(found, announced))
})

test('sockets are the same when all that both sides know is equal', () => {
  const announced = 'socket 2 1 6 0 77 127.0.0.1:80 127.0.0.1:5000'
  for (const found of [
    announced,
    'socket 2 1 6 0 77 127.0.0.1:80 -',
    'socket 2 1 6 0 77 - 127.0.0.1:5000',
    'socket 2 1 6 0 77 - -',
  ]) {
    assert.ok(sameIdentity(announced, found) && sameIdentity(found, announced), found)
  }
  for (const found of [
    'socket 10 1 6 0 77 127.0.0.1:80 127.0.0.1:5000',
    'socket 2 2 6 0 77 127.0.0.1:80 127.0.0.1:5000',
    'socket 2 1 262 0 77 127.0.0.1:80 127.0.0.1:5000',
    'socket 2 1 6 1 77 127.0.0.1:80 127.0.0.1:5000',
    'socket 2 1 6 0 78 127.0.0.1:80 127.0.0.1:5000',
    'socket 2 1 6 0 77 127.0.0.1:81 127.0.0.1:5000',
    'socket 2 1 6 0 77 127.0.0.1:80 127.0.0.1:5001',
    'file 2 77 regular',
    'nonsense',
  ]) {
    assert.ok(!sameIdentity(announced, found) && !sameIdentity(found, announced), found)
  }
  assert.ok(sameIdentity('file 2 77 fifo', 'file 2 77 fifo'))
  assert.ok(!sameIdentity('file 2 77 fifo', 'file 2 77 regular'))
})

test('what identify cannot have said is no identity', () => {
  for (const text of [
    '',
    'socket',
    'socket 2 1 6 0 77 - - ',
    ' socket 2 1 6 0 77 - -',
    'socket 2 1 6 0 77 - -\n',
    'socket  2 1 6 0 77 - -',
    'socket 2 1 6 2 77 - -',
    'socket 2 1 6 0 - - -',
    'socket 2 1 6 0 077 - -',
    'socket -2 1 6 0 77 - -',
    'socket 2 1 6 0 77 unix:2 -',
    'socket 2 1 6 0 77 unix:2F -',
    'socket 2 1 6 0 77 unix: -',
    'socket 2 1 6 0 77 ::1:80 -',
    'socket 2 1 6 0 77 127.0.0.1 -',
    `socket 2 1 6 0 77 raw:${'00'.repeat(129)} -`,
    'file 1 2 pipe',
    'file 1 x fifo',
    'file 1 fifo',
  ]) {
    assert.equal(parseIdentity(text), null, text)
  }
})
