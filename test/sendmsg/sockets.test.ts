/** Sockets made, named, connected, accepted and shut down. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import * as api from '../../src/sendmsg/index.js'
import { isCloseOnExec, noLeak } from '../support/descriptors.js'
import { root, scratch } from '../support/paths.js'
import { assertUsable, distinctKinds, owned, receive, send, socketKinds } from '../support/socket-kinds.js'

const byte = Buffer.from('x')
const near = { address: '127.0.0.1', port: 0 }

function isNonBlocking({ fd }: api.Descriptor): boolean {
  const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1]
  return (Number.parseInt(flags ?? '0', 8) & 0o4000) !== 0
}

function listener(t: TestContext, address: api.AddressLike, type = api.SOCK_STREAM): [api.Descriptor, api.Address] {
  const family = 'path' in address ? api.AF_UNIX : api.AF_INET
  const socket = owned(t, api.socket(family, type))
  api.bind(socket, address)
  api.listen(socket)
  return [socket, api.getsockname(socket) as api.Address]
}

for (const kind of socketKinds) {
  test(`sockets made, paired and accepted are close-on-exec and do not block: ${kind.name}`, async (t) => {
    noLeak(t)
    const { left, right } = await kind.pair(t)
    for (const end of [left, right, owned(t, api.dup(left))]) {
      assert.ok(isCloseOnExec(end.fd) && isNonBlocking(end), `${end.fd}`)
    }
  })
}

/** Every call on a socket, with arguments that are right. */
const calls: [syscall: string, call: (socket: api.DescriptorLike) => unknown][] = [
  ['sendmsg', (socket) => api.sendmsg(socket, byte)],
  ['sendmsg', (socket) => api.sendmsg(socket, byte, [[api.SOL_SOCKET, api.SCM_RIGHTS, Buffer.alloc(0)]])],
  ['sendmsg', (socket) => api.sendmsg(socket, byte, [api.rights([0])])],
  ['recvmsg', (socket) => api.recvmsg(socket)],
  ['recvmsg', (socket) => api.recvmsgInto(socket, byte, 64)],
  ['sendmmsg', (socket) => api.sendmmsg(socket, [{ data: byte, ancillary: [api.rights([0])] }])],
  ['recvmmsg', (socket) => api.recvmmsg(socket, 2)],
  ['bind', (socket) => api.bind(socket, near)],
  ['connect', (socket) => api.connect(socket, { ...near, port: 1 })],
  ['listen', (socket) => api.listen(socket)],
  ['accept', (socket) => api.accept(socket)],
  ['shutdown', (socket) => api.shutdown(socket)],
  ['getsockname', (socket) => api.getsockname(socket)],
  ['getpeername', (socket) => api.getpeername(socket)],
  ['getsockopt', (socket) => api.getsockopt(socket, 'SO_TYPE')],
  ['getsockopt', (socket) => api.getsockopt(socket, api.SOL_SOCKET, api.SO_TYPE)],
  ['getsockopt', (socket) => api.getsockopt(socket, api.SOL_SOCKET, api.SO_TYPE, 8)],
  ['setsockopt', (socket) => api.setsockopt(socket, 'SO_KEEPALIVE', true)],
  ['getsockopt', (socket) => api.getSocketFamily(socket)],
  ['getsockopt', (socket) => api.getPeerCredentials(socket)],
]

for (const kind of distinctKinds) {
  test(`every call on a closed socket is EBADF, by its owner or its number: ${kind.name}`, async (t) => {
    noLeak(t)
    const { left } = await kind.pair(t)
    const { fd } = left
    left.close()
    for (const [syscall, call] of calls) {
      for (const socket of [left, fd]) {
        const thrown = { name: 'SyscallError', code: 'EBADF', syscall, message: /^EBADF: / }
        assert.throws(() => call(socket), thrown, `${syscall} on ${typeof socket}`)
      }
    }
    assert.throws(() => api.dup(fd), { code: 'EBADF', syscall: 'fcntl' })
  })
}

test('every call on a file is ENOTSOCK', (t) => {
  noLeak(t)
  const file = openSync(join(root, 'package.json'), 'r')
  t.after(() => closeSync(file))
  for (const [syscall, call] of calls) {
    assert.throws(() => call(file), { name: 'SyscallError', code: 'ENOTSOCK' }, syscall)
  }
})

test('an error’s stack starts at the caller’s line', () => {
  for (const [, call] of calls) {
    assert.throws(
      () => call(1 << 20),
      (error: Error) => /\n\s+at [^\n]*sockets\.test\./.test(error.stack?.split('\n').slice(0, 2).join('\n') ?? ''),
      call.toString(),
    )
  }
})

for (const kind of distinctKinds.filter(({ ends }) => ends)) {
  test(`an end shut for writing sends no more, and its peer reads to the end: ${kind.name}`, async (t) => {
    noLeak(t)
    const ends = await kind.pair(t)
    send(ends, Buffer.from('last'))
    api.shutdown(ends.left, api.SHUT_WR)
    assert.throws(() => send(ends, byte), { code: 'EPIPE', syscall: 'sendmsg' })
    assert.equal((await receive(ends.right)).data.toString(), 'last')
    assert.equal((await receive(ends.right)).data.length, 0)
    assert.equal(api.sendmsg(ends.right, byte), 1)
    assert.equal((await receive(ends.left)).data.length, 1)
    api.shutdown(ends.left, api.SHUT_RD)
    assert.equal((await receive(ends.left)).data.length, 0)
  })
}

test('a refused port is told once the socket is writable, by SO_ERROR, and only once', async (t) => {
  noLeak(t)
  const [closing, address] = listener(t, near)
  closing.close()
  const socket = owned(t, api.socket(api.AF_INET))
  assert.equal(api.connect(socket, address), false)
  await api.writable(socket)
  assert.equal(api.getsockopt(socket, 'SO_ERROR'), 111)
  assert.equal(api.getsockopt(socket, 'SO_ERROR'), 0)
})

test('a connection under way is writable once it is made, and SO_ERROR is 0', async (t) => {
  noLeak(t)
  const [port, address] = listener(t, near)
  const left = owned(t, api.socket(api.AF_INET))
  assert.equal(api.connect(left, address), false)
  await api.writable(left)
  assert.equal(api.getsockopt(left, 'SO_ERROR'), 0)
  const connection = api.accept(port)
  assert.ok(connection !== null)
  const right = owned(t, connection.descriptor)
  assert.deepEqual(connection.address, api.getsockname(left))
  assert.equal(api.accept(port), null)
  assert.equal(api.connect(left, address), true, 'asked again, it is made')
  assert.throws(() => api.connect(left, address), { code: 'EISCONN', syscall: 'connect' })
  await assertUsable({ left, right, to: undefined, back: undefined, from: null })
})

test('a datagram to a port that nobody has is refused at the next call', async (t) => {
  noLeak(t)
  const gone = owned(t, api.socket(api.AF_INET, api.SOCK_DGRAM))
  api.bind(gone, near)
  const address = api.getsockname(gone) as api.Address
  gone.close()
  const socket = owned(t, api.socket(api.AF_INET, api.SOCK_DGRAM))
  assert.equal(api.connect(socket, address), true)
  assert.equal(api.sendmsg(socket, byte), 1)
  await api.readable(socket)
  assert.throws(() => api.recvmsg(socket), { code: 'ECONNREFUSED', syscall: 'recvmsg' })
  assert.equal(api.recvmsg(socket), null)
})

test('over UNIX sockets a connection is made at once, or refused with the path', (t) => {
  noLeak(t)
  const path = join(scratch(t), 'port')
  const [port] = listener(t, { path })
  const connecting = (): api.Descriptor => owned(t, api.socket(api.AF_UNIX))
  assert.equal(api.connect(connecting(), { path }), true)
  const connection = api.accept(port)
  assert.equal(connection?.address, null, 'the client has no name')
  connection?.descriptor.close()
  const taken = { code: 'EADDRINUSE', syscall: 'bind', address: path }
  assert.throws(() => api.bind(connecting(), { path }), taken)
  port.close()
  const refused = { code: 'ECONNREFUSED', syscall: 'connect', address: path }
  assert.throws(() => api.connect(connecting(), { path }), refused)
  assert.throws(() => api.connect(connecting(), { path: `${path}.none` }), { code: 'ENOENT' })
})

test('a UNIX listener whose queue is full says to try again', (t) => {
  noLeak(t)
  const path = join(scratch(t), 'port')
  const [port] = listener(t, { path })
  api.listen(port, 0)
  assert.equal(api.connect(owned(t, api.socket(api.AF_UNIX)), { path }), true)
  const next = owned(t, api.socket(api.AF_UNIX))
  assert.throws(() => api.connect(next, { path }), { code: 'EAGAIN', syscall: 'connect' })
  api.accept(port)?.descriptor.close()
  assert.equal(api.connect(next, { path }), true)
})

test('accept on a stream that does not listen is EINVAL, and it is where no connection can wait', (t) => {
  noLeak(t)
  const plain = owned(t, api.socket(api.AF_INET))
  assert.throws(() => api.accept(plain), { code: 'EINVAL', syscall: 'accept' })
  const [left, right] = api.socketpair().map((end) => owned(t, end)) as [api.Descriptor, api.Descriptor]
  assert.throws(() => api.accept(left), { code: 'EINVAL', syscall: 'accept' }, 'connected')
  api.sendmsg(right, byte)
  assert.throws(() => api.accept(left), { code: 'EINVAL', syscall: 'accept' }, 'and readable')
})

for (const family of ['AF_INET', 'AF_UNIX']) {
  // In a process of its own: a call that does not return holds up every timer.
  test(`accept on a datagram socket is refused, also when it is readable: ${family}`, (t) => {
    const name = family === 'AF_UNIX' ? { path: join(scratch(t), 'name') } : near
    const module = JSON.stringify(join(root, 'dist/src/sendmsg/index.js'))
    const code = `import * as api from ${module}
      const socket = api.socket(api.${family}, api.SOCK_DGRAM)
      api.bind(socket, ${JSON.stringify(name)})
      const said = () => { try { return api.accept(socket) } catch ({ code }) { return code } }
      console.log(said())
      api.sendmsg(socket, Buffer.from('x'), undefined, 0, api.getsockname(socket))
      console.log(said())
      socket.close()`
    const options = { encoding: 'utf8', timeout: 5_000, killSignal: 'SIGKILL' } as const
    const { stdout, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', code], options)
    assert.match(stdout, /^E(OP)?NOTSUPP?\n/, 'with nothing to read')
    assert.equal(signal, null, 'it returns')
    assert.match(stdout, /\nE(OP)?NOTSUPP?\n$/)
  })
}

for (const kind of socketKinds.filter(({ family }) => family === 'UNIX')) {
  test(`the peer's credentials are those of its process: ${kind.name}`, async (t) => {
    noLeak(t)
    const { left, right } = await kind.pair(t)
    const own = { pid: process.pid, uid: process.geteuid?.(), gid: process.getegid?.() }
    // Datagram sockets that were not made as a pair have no peer that the kernel could have asked.
    const known = kind.ends || kind.name.endsWith('pair')
    for (const end of [left, right]) {
      if (known) assert.deepEqual(api.getPeerCredentials(end), own)
      else assert.throws(() => api.getPeerCredentials(end), { code: 'ENOTCONN' })
    }
    if (kind.ends) assert.deepEqual(api.getsockopt(left, 'SO_PEERCRED'), own)
  })
}

test('every MSG_ name that the C compiler knows is exported, with its number', {
  skip: process.platform !== 'linux',
}, (t) => {
  const source = '#define _GNU_SOURCE\n#include <sys/socket.h>\n'
  const known = spawnSync('cc', ['-dM', '-E', '-x', 'c', '-'], { input: source, encoding: 'utf8' })
  if (known.error !== undefined) return t.skip('there is no C compiler')
  const names = [...known.stdout.matchAll(/^#define (MSG_\w+)/gm)].map(([, name]) => name as string)
  assert.ok(names.length > 15, known.stderr)
  const folder = scratch(t)
  const lines = names.map((name) => `printf("%s %d\\n", "${name}", (int)${name});`)
  writeFileSync(join(folder, 'names.c'), `${source}#include <stdio.h>\nint main(void) {\n${lines.join('\n')}\n}\n`)
  const built = spawnSync('cc', ['names.c', '-o', 'names'], { cwd: folder, encoding: 'utf8' })
  assert.equal(built.status, 0, built.stderr)
  const printed = spawnSync(join(folder, 'names'), { encoding: 'utf8' }).stdout.trim().split('\n')
  const constants = api as unknown as Record<string, number | undefined>
  assert.deepEqual(printed.sort(), names.map((name) => `${name} ${constants[name]}`).sort())
})
