import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, readSync, statSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { errnoOf, type SyscallError } from '../../src/errors.js'
import * as api from '../../src/sendmsg/index.js'
import { AF_INET, AF_UNIX, SOCK_STREAM } from '../../src/syscalls/constants.js'
import { peerPidfd } from '../../src/syscalls/credentials.js'
import { close } from '../../src/syscalls/descriptor.js'
import { identify } from '../../src/syscalls/identity.js'
import { pidfdGetfd, pidfdOpen } from '../../src/syscalls/pidfd.js'
import { isCloseOnExec, noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { root, scratch } from '../support/paths.js'
import { heard, type Plain, plainly, program } from '../support/programs.js'
import { owned } from '../support/socket-kinds.js'

const linux = { skip: process.platform !== 'linux' && 'Linux alone has pidfds' }
const source = (name: string): string => JSON.stringify(pathToFileURL(join(root, 'dist/src/syscalls', name)).href)

/** A program that goes on until the test ends it. */
function running(t: TestContext, text: string): Plain {
  return plainly(t, program(t, `${text}\nsetInterval(() => {}, 1 << 30)`))
}

const saidBy = async <Value>(from: Plain, what: string): Promise<Value> => (await heard<Value>(from, what))[0] as Value

function ownedNumber(t: TestContext, descriptor: number): number {
  t.after(() => close(descriptor))
  return descriptor
}

/** The process a pidfd stands for; -1: it has ended. */
function pidOf(descriptor: number): number {
  return Number(/^Pid:\s*(-?\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1])
}

test('the end of a pipe is taken out of a process that has it, and reads what that writes', linux, async (t) => {
  noLeak(t)
  const child = running(
    t,
    `import { execFileSync } from 'node:child_process'
    import { openSync, unlinkSync, writeSync } from 'node:fs'
    import { identify } from ${source('identity.js')}
    const path = ${JSON.stringify(join(scratch(t), 'fifo'))}
    execFileSync('mkfifo', [path])
    const pipe = openSync(path, 'r+')
    unlinkSync(path) // nobody gets at it by its name
    writeSync(pipe, 'from the inside')
    say('pipe', { pid: process.pid, pipe, identity: identify(pipe) })`,
  )
  const { pid, pipe, identity } = await saidBy<{ pid: number; pipe: number; identity: string }>(child, 'pipe')
  const pidfd = ownedNumber(t, pidfdOpen(pid))
  const taken = ownedNumber(t, pidfdGetfd(pidfd, pipe))
  assert.ok(isCloseOnExec(pidfd) && isCloseOnExec(taken))
  assert.equal(pidOf(pidfd), pid)
  assert.equal(identify(taken), identity)
  const room = Buffer.alloc(100)
  assert.equal(room.toString('utf8', 0, readSync(taken, room)), 'from the inside')
})

test('a listening socket is taken, and serves when its process is gone', linux, async (t) => {
  noLeak(t)
  const child = running(
    t,
    `import net from 'node:net'
    const server = net.createServer().listen(0, '127.0.0.1', () =>
      say('port', { pid: process.pid, number: server._handle.fd, port: server.address().port }))`,
  )
  const { pid, number, port } = await saidBy<{ pid: number; number: number; port: number }>(child, 'port')
  const pidfd = ownedNumber(t, pidfdOpen(pid))
  const fd = pidfdGetfd(pidfd, number)
  process.kill(pid, 'SIGKILL')
  await child.ended
  const server = net.createServer((socket) => socket.end('still here')).listen({ fd })
  await once(server, 'listening')
  const client = net.connect(port, '127.0.0.1').setEncoding('utf8')
  assert.deepEqual(await once(client, 'data'), ['still here'])
  await once(client, 'close')
  server.close()
  await once(server, 'close')
  assert.throws(() => pidfdGetfd(pidfd, number), { code: 'ESRCH', hint: 'The process has ended.' })
})

test('a process that has ended is ESRCH, and a number that one does not have is EBADF', linux, async (t) => {
  noLeak(t)
  const child = running(t, `say('pid', process.pid)`)
  const pid = await saidBy<number>(child, 'pid')
  const pidfd = ownedNumber(t, pidfdOpen(pid))
  assert.throws(() => pidfdGetfd(pidfd, 99_999), {
    code: 'EBADF',
    syscall: 'pidfd_getfd',
    hint: 'The other process has no such descriptor open.',
  })
  process.kill(pid, 'SIGKILL')
  await child.ended
  assert.throws(
    () => pidfdOpen(pid),
    (error: SyscallError) => {
      assert.deepEqual([error.code, error.syscall], ['ESRCH', 'pidfd_open'])
      assert.equal(error.hint, 'No process has this pid any more.')
      assert.match(error.stack?.split('\n')[1] ?? '', /pidfd\.test/)
      return true
    },
  )
})

test('a process of another user is EPERM, with the rights that are missing', linux, async (t) => {
  noLeak(t)
  // Root gives its rights up and asks for its parent; others ask for the first process, which is root's but in containers.
  const own = process.getuid?.() !== 0 && statSync('/proc/1').uid === process.getuid?.()
  if (own) return t.skip('there is no process of another user to ask for')
  const script = program(
    t,
    `import { pidfdGetfd, pidfdOpen } from ${source('pidfd.js')}
    const stranger = process.getuid() === 0 ? process.ppid : 1
    if (process.getuid() === 0) {
      process.setgroups([])
      process.setgid(20_000 + (process.pid % 40_000))
      process.setuid(20_000 + (process.pid % 40_000))
    }
    const pidfd = pidfdOpen(stranger)
    try {
      say('taken', pidfdGetfd(pidfd, 0))
    } catch ({ code, syscall, hint }) {
      say('taken', { code, syscall, hint })
    }`,
  )
  const child = plainly(t, script)
  const { code, syscall, hint } = await saidBy<SyscallError>(child, 'taken')
  assert.deepEqual([code, syscall], ['EPERM', 'pidfd_getfd'])
  assert.match(hint, /ptrace_scope.*CAP_SYS_PTRACE/)
  await child.ended
})

test('a system without pidfds says what it takes', (t) => {
  const missing = (): number => errnoOf('ENOSYS')
  fakeKernel(t, { pidfdOpen: missing, pidfdGetfd: missing })
  assert.throws(() => pidfdOpen(1), { code: 'ENOSYS', hint: /Linux 5\.3/ })
  assert.throws(() => pidfdGetfd(1, 1), { code: 'ENOSYS', hint: /Linux 5\.6/ })
})

test('the process at the other end of a UNIX socket is told by a descriptor', linux, async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const listener = owned(t, api.socket(AF_UNIX, SOCK_STREAM))
  api.bind(listener, { path })
  api.listen(listener)
  const child = running(
    t,
    `import net from 'node:net'
    net.connect(${JSON.stringify(path)}, () => say('connected', process.pid))`,
  )
  const pid = await saidBy<number>(child, 'connected')
  const connection = owned(t, api.accept(listener)?.descriptor as api.Descriptor)
  const peer = peerPidfd(connection.fd)
  if (peer === null) return t.skip('this kernel has no SO_PEERPIDFD')
  ownedNumber(t, peer)
  assert.ok(isCloseOnExec(peer))
  assert.equal(pidOf(peer), pid)
  process.kill(pid, 'SIGKILL')
  await child.ended
  assert.equal(pidOf(peer), -1)
  // Kernels since 6.16 keep the process in mind, those before tell that it has gone; none takes another for it.
  try {
    assert.equal(pidOf(ownedNumber(t, peerPidfd(connection.fd) as number)), -1)
  } catch (error) {
    assert.equal((error as SyscallError).code, 'ESRCH')
  }
})

test('where there is no peer, or no such option, there is no process', (t) => {
  noLeak(t)
  const tcp = owned(t, api.socket(AF_INET, SOCK_STREAM))
  const lonely = owned(t, api.socket(AF_UNIX, SOCK_STREAM))
  const listener = owned(t, api.socket(AF_UNIX, SOCK_STREAM))
  api.bind(listener, { path: join(scratch(t), 'socket') })
  api.listen(listener)
  for (const socket of [tcp, lonely, listener]) assert.equal(peerPidfd(socket.fd), null)
  fakeKernel(t, { peerPidfd: () => errnoOf('ENOPROTOOPT') })
  const [end, other] = api.socketpair()
  assert.equal(peerPidfd(end.fd), null)
  end.close()
  other.close()
})

test('what is no socket has no peer to tell of', linux, (t) => {
  noLeak(t)
  const pidfd = ownedNumber(t, pidfdOpen(process.pid))
  assert.throws(() => peerPidfd(pidfd), { code: 'ENOTSOCK', syscall: 'getsockopt' })
  assert.throws(() => peerPidfd(99_999), { code: 'EBADF' })
})
