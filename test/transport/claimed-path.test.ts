/** What somebody else says of a path, or does to it, has us remove and change nothing but what is ours. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import type net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { Arrived } from '../../src/channel/kinds.js'
import { bind } from '../../src/syscalls/bind.js'
import { AF_UNIX } from '../../src/syscalls/constants.js'
import { close } from '../../src/syscalls/descriptor.js'
import { kernel } from '../../src/syscalls/kernel.js'
import { listen } from '../../src/syscalls/listen.js'
import { socket } from '../../src/syscalls/socket.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { portKind } from '../../src/transport/port.js'
import { serverKind } from '../../src/transport/server.js'
import { bindPath, inodeOf, isBoundTo, removeIfLast } from '../../src/transport/socket-path.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { scratch } from '../support/paths.js'
import { STRANGER } from '../support/peers.js'

const isRoot = process.getuid?.() === 0
const local = { host: '127.0.0.1', port: 0 }

/** A socket's file that nobody has open. */
function stale(path: string): string {
  const descriptor = socket(AF_UNIX)
  bind(descriptor, { path })
  close(descriptor)
  return path
}

function listener(path: string): number {
  const descriptor = socket(AF_UNIX)
  bind(descriptor, { path })
  listen(descriptor, 1)
  return descriptor
}

/** What another process says has arrived. */
function arrived(descriptor: number, details: object): Arrived {
  return { descriptors: [descriptor], details, bytes: Buffer.alloc(0) }
}

/** Of whatever arrives: a port, or a server. */
const arrivals: [string, (descriptor: number, path: string) => ListeningPort | net.Server][] = [
  ['port', (descriptor, path) => portKind.adopt(arrived(descriptor, { path })) as ListeningPort],
  ['server', (descriptor, path) => serverKind.adopt(arrived(descriptor, { class: 'net', path })) as net.Server],
]

for (const [name, adopted] of arrivals) {
  test(`a ${name} that comes with the path of another socket, or of none, removes nothing when it is closed`, (t) => {
    noLeak(t)
    const folder = scratch(t)
    const victim = stale(join(folder, 'victim'))
    const near = listener(join(folder, 'their-victim'))
    const tcp = ListeningPort.open(local)
    const abstract = process.platform === 'linux' ? [listener(`\0handover-${process.pid}-${name}`)] : []
    for (const descriptor of [near, kernel.dup(tcp.fd), ...abstract]) adopted(descriptor, victim).close()
    tcp.close()
    assert.ok(existsSync(victim))
  })

  test(`a ${name} that comes with its own path removes it, from whatever folder it was bound`, (t) => {
    noLeak(t)
    const folder = scratch(t)
    const before = process.cwd()
    t.after(() => process.chdir(before))
    process.chdir(folder)
    mkdirSync('sub')
    for (const [bound, path] of [
      [join(folder, 'absolute'), join(folder, 'absolute')],
      ['relative', join(folder, 'relative')],
      ['./sub/../sub/relative', join(folder, 'sub/relative')],
    ] as const) {
      const thing = adopted(listener(bound), path)
      process.chdir('/')
      thing.close()
      assert.ok(!existsSync(path), path)
      process.chdir(folder)
    }
  })
}

test('the path of a socket is what it is bound to, whole, or its tail where that was relative', (t) => {
  noLeak(t)
  const folder = scratch(t)
  const absolute = listener(join(folder, 'a'))
  const before = process.cwd()
  t.after(() => process.chdir(before))
  process.chdir(folder)
  const relative = listener('b')
  const yes = [absolute, relative].map((each, index) => isBoundTo(each, join(folder, 'ab'[index] as string)))
  const no = ['/a', 'a', `${folder}/xa`, '', '/', `${folder}/a/`, '\0a'].map((path) => isBoundTo(absolute, path))
  const neither = [`${folder}/xb`, 'b', `${folder}/b/c`, '', '/', '\0b'].map((path) => isBoundTo(relative, path))
  for (const each of [absolute, relative]) close(each)
  assert.deepEqual(yes, [true, true])
  assert.deepEqual(no.filter(Boolean).length, 1, 'only the one with a slash behind')
  assert.deepEqual(neither.includes(true), false)
})

/** Leads the probe's look elsewhere: between the look and what follows, a link above the path is turned. */
function turning(t: TestContext, turn: () => void): void {
  let turned = false
  fakeKernel(t, {
    connect(real, ...args) {
      const done = real(...args)
      if (!turned) turn()
      turned = true
      return done
    },
  })
}

for (const what of ['closed', 'bound']) {
  test(`a link above a path that is turned while it is ${what} leads nobody to another file`, (t) => {
    noLeak(t)
    const folder = scratch(t)
    for (const name of ['ours', 'theirs']) mkdirSync(join(folder, name))
    const link = join(folder, 'link')
    symlinkSync('ours', link)
    const path = join(link, 'socket')
    const victim = stale(join(folder, 'theirs/socket'))
    const turn = (): void => {
      symlinkSync('theirs', `${link}-new`)
      renameSync(`${link}-new`, link)
    }
    if (what === 'closed') {
      const port = ListeningPort.open({ path })
      turning(t, turn)
      port.close()
    } else {
      stale(join(folder, 'ours/socket'))
      turning(t, turn)
      assert.throws(() => ListeningPort.open({ path }), { code: 'EADDRINUSE' })
    }
    assert.ok(existsSync(victim))
    assert.ok(!existsSync(join(folder, 'ours/socket')))
  })
}

test('a file that came to a path between the look and its removal stays', (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const port = ListeningPort.open({ path })
  turning(t, () => {
    rmSync(path)
    writeFileSync(path, 'precious')
  })
  port.close()
  assert.ok(existsSync(path))
})

test("a stale socket of another user's stays when a port is closed, and is replaced by who listens next", {
  skip: !isRoot,
}, (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const port = ListeningPort.open({ path })
  chownSync(path, STRANGER, STRANGER)
  port.close()
  assert.equal(statSync(path).uid, STRANGER)
  const next = ListeningPort.open({ path, owner: { uid: STRANGER, gid: STRANGER } })
  next.close()
  assert.ok(!existsSync(path), 'whom this process gave it to makes no difference')
})

test('mode and owner are those of the socket that was bound, whatever has taken its name', (t) => {
  noLeak(t)
  const folder = scratch(t)
  const precious = join(folder, 'precious')
  writeFileSync(precious, '', { mode: 0o600 })
  const path = join(folder, 'socket')
  fakeKernel(t, {
    bind(real, ...args) {
      const done = real(...args)
      rmSync(path)
      symlinkSync(precious, path)
      return done
    },
  })
  const descriptor = socket(AF_UNIX)
  t.after(() => close(descriptor))
  assert.throws(() => bindPath(descriptor, path, 0o777, { uid: process.getuid?.() ?? 0, gid: 0 }), {
    name: 'SyscallError',
    address: path,
  })
  assert.equal(statSync(precious).mode & 0o777, 0o600)
  assert.ok(lstatSync(path).isSymbolicLink(), 'and that is left alone')
})

test('a port whose path was taken by another file does not change the mode of that', (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const port = ListeningPort.open({ path, mode: 0o600 })
  port.chmod(0o066, true)
  assert.equal(statSync(path).mode & 0o777, 0o666)
  rmSync(path)
  writeFileSync(path, '', { mode: 0o600 })
  assert.throws(() => port.chmod(0o666, false), { code: 'ENOENT', address: path })
  assert.equal(statSync(path).mode & 0o777, 0o600)
  port.close()
})

test('who keeps a folder locked delays nobody: ports open and close at once, and a path that stays is replaced', (t) => {
  noLeak(t)
  const folder = scratch(t)
  chmodSync(folder, 0o755)
  const path = join(folder, 'socket')
  const theirs = openSync(folder, 'r')
  assert.equal(kernel.lock(theirs), 0)
  const start = performance.now()
  ListeningPort.open({ path }).close()
  assert.ok(existsSync(path), 'it is stale')
  const again = ListeningPort.open({ path })
  assert.ok(performance.now() - start < 10_000)
  closeSync(theirs)
  again.close()
  assert.ok(!existsSync(path))
})

test('a server that arrives listens, also where its path cannot be looked at', async (t) => {
  noLeak(t)
  const folder = join(scratch(t), 'folder')
  mkdirSync(folder)
  const path = join(folder, 'socket')
  const descriptor = listener(path)
  rmSync(folder, { recursive: true })
  writeFileSync(folder, 'a file now') // ENOTDIR
  const server = serverKind.adopt(arrived(descriptor, { class: 'net', path })) as net.Server
  assert.ok(server.listening)
  assert.equal(server.address(), path)
  server.close()
  await once(server, 'close')
  assert.equal(inodeOf(path), null)
  removeIfLast(path, null)
})
