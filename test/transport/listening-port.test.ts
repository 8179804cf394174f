import assert from 'node:assert/strict'
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { errnoOf } from '../../src/errors.js'
import * as sendmsg from '../../src/sendmsg/index.js'
import { bind } from '../../src/syscalls/bind.js'
import { AF_UNIX } from '../../src/syscalls/constants.js'
import { close } from '../../src/syscalls/descriptor.js'
import { socket } from '../../src/syscalls/socket.js'
import { ListeningPort, type ListenOptions } from '../../src/transport/listening-port.js'
import { connect } from '../support/client.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { scratch } from '../support/paths.js'
import { until } from '../support/wait.js'

/** A port that is closed with the test. */
function opened(t: TestContext, options: ListenOptions): ListeningPort {
  const port = ListeningPort.open(options)
  t.after(() => port.close())
  return port
}

/** Accepts what is there, closes it, and tells how it was described. */
async function acceptOne(port: ListeningPort): Promise<{ peer: unknown; local: unknown }> {
  let count = 0
  await until('a connection', () => {
    count = port.accept(64)
    return count > 0
  })
  assert.equal(count, 1)
  const described = port.batch.describe(0)
  close(port.batch.descriptor(0))
  return described
}

test('a connection is described with peer and local address, on any kind of port', async (t) => {
  noLeak(t)
  const cases: [ListenOptions, string, string][] = [
    [{ host: '127.0.0.1', port: 0 }, '127.0.0.1', '127.0.0.1'],
    [{ host: '0.0.0.0', port: 0 }, '127.0.0.1', '127.0.0.1'],
    [{ host: '::1', port: 0 }, '::1', '::1'],
    [{ port: 0 }, '127.0.0.1', '::ffff:127.0.0.1'],
  ]
  for (const [options, host, local] of cases) {
    const port = opened(t, options)
    const { port: number } = port.address as { port: number }
    const client = await connect({ port: number, host })
    const described = await acceptOne(port)
    const family = local.includes(':') ? 'IPv6' : 'IPv4'
    assert.deepEqual(described.local, { address: local, family, port: number })
    assert.deepEqual(described.peer, { address: local, family, port: client.localPort })
    client.destroy()
    await new Promise((resolve) => client.once('close', resolve))
  }
})

test('a port that is taken, or not ours to take, is a system error that names the place', (t) => {
  noLeak(t)
  const port = opened(t, { host: '127.0.0.1', port: 0 })
  const { port: number } = port.address as { port: number }
  assert.throws(() => ListeningPort.open({ host: '127.0.0.1', port: number }), {
    code: 'EADDRINUSE',
    errno: errnoOf('EADDRINUSE'),
    address: '127.0.0.1',
    port: number,
  })
  assert.throws(() => ListeningPort.open({ host: '192.0.2.1', port: 0 }), { code: 'EADDRNOTAVAIL' })
  assert.throws(() => ListeningPort.open({ path: join(scratch(t), 'no/such/folder') }), { code: 'ENOENT' })
})

test('nonsense is refused before any system call, by the name of the option', () => {
  const bad: [ListenOptions, RegExp][] = [
    [{ port: -1 }, /^port:/],
    [{ port: 65536 }, /^port:/],
    [{ port: 1.5 }, /^port:/],
    [{ port: 0, host: 'localhost' }, /^host:/],
    [{ port: 0, backlog: 0 }, /^backlog:/],
    [{ path: '' }, /^path:/],
    [{ path: 'x'.repeat(200) }, /^path:/],
    [{ path: 'a\0b' }, /^path:/],
  ]
  for (const [options, message] of bad) assert.throws(() => ListeningPort.open(options), { message })
})

test('a host name is looked up', async (t) => {
  const port = await ListeningPort.listen({ host: 'localhost', port: 0 })
  t.after(() => port.close())
  assert.ok(['127.0.0.1', '::1'].includes((port.address as { address: string }).address))
})

test('ipv6Only refuses IPv4, and reusePort lets two ports share an address', async (t) => {
  noLeak(t)
  const only = opened(t, { port: 0, host: '::', ipv6Only: true })
  await assert.rejects(connect({ port: (only.address as { port: number }).port }), { code: 'ECONNREFUSED' })
  const first = opened(t, { port: 0, host: '127.0.0.1', reusePort: true })
  opened(t, { ...(first.address as { port: number }), host: '127.0.0.1', reusePort: true })
})

/** Only an IPv6 address is that long. */
const IPV6_BYTES = 28

test('without IPv6 "any address" is 0.0.0.0', (t) => {
  fakeKernel(t, {
    bind: (real, descriptor, length) => (length === IPV6_BYTES ? errnoOf('EADDRNOTAVAIL') : real(descriptor, length)),
  })
  assert.equal((opened(t, { port: 0 }).address as { address: string }).address, '0.0.0.0')
})

test('a batch takes at most what is asked for, and the rest stays in the kernel', async (t) => {
  noLeak(t)
  const port = opened(t, { host: '127.0.0.1', port: 0 })
  const { port: number } = port.address as { port: number }
  const clients = await Promise.all(Array.from({ length: 100 }, () => connect({ port: number })))
  const counts: number[] = []
  await until('all have come', () => {
    const count = port.accept(counts.length === 0 ? 7 : 1000)
    if (count > 0) counts.push(count)
    for (let i = 0; i < count; i++) close(port.batch.descriptor(i))
    return counts.reduce((sum, one) => sum + one, 0) === 100
  })
  const [first, ...others] = counts as [number]
  assert.ok(first <= 7 && others.length >= 2 && others.every((count) => count <= 64), `${counts}`)
  for (const client of clients) client.destroy()
})

test('a path has the mode that was asked for, before the first client can come, and goes with the port', (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  let modeAtListen = 0
  fakeKernel(t, {
    listen: (real, descriptor, backlog) => {
      modeAtListen = statSync(path).mode & 0o777
      return real(descriptor, backlog)
    },
  })
  const port = ListeningPort.open({ path, mode: 0o600 })
  assert.equal(modeAtListen, 0o600)
  port.chmod(0o066, true)
  assert.equal(statSync(path).mode & 0o777, 0o666)
  port.chmod(0o444, false)
  assert.equal(statSync(path).mode & 0o777, 0o444)
  port.close()
  assert.ok(!existsSync(path))
})

test('a stale socket file is replaced, a live one and any other file never', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const stale = join(folder, 'stale')
  const dead = socket(AF_UNIX)
  bind(dead, { path: stale })
  close(dead)
  opened(t, { path: stale })
  const live = join(folder, 'live')
  const owner = net.createServer().listen(live)
  t.after(() => new Promise((resolve) => owner.close(resolve)))
  assert.throws(() => ListeningPort.open({ path: live }), { code: 'EADDRINUSE', address: live })
  const file = join(folder, 'file')
  writeFileSync(file, 'precious')
  assert.throws(() => ListeningPort.open({ path: file }), { code: 'EADDRINUSE' })
  assert.ok(existsSync(live) && existsSync(file))
})

test('close removes only a path that still leads here', (t) => {
  const path = join(scratch(t), 'socket')
  const first = ListeningPort.open({ path })
  rmSync(path)
  const second = opened(t, { path })
  first.close()
  assert.ok(existsSync(path), 'the path of another is left alone')
  second.close()
  assert.ok(!existsSync(path))
})

test('a path that somebody removed is bound anew, and clients that wait are not lost', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const port = opened(t, { path })
  const early = await connect({ path })
  rmSync(path)
  port.renew()
  port.renew()
  const late = await connect({ path })
  let count = 0
  let batches = 0
  await until('both are accepted', () => {
    const came = port.accept(64)
    for (let i = 0; i < came; i++) close(port.batch.descriptor(i))
    if (came > 0) batches += 1
    count += Math.max(0, came)
    return count === 2
  })
  assert.equal(batches, 2, 'from the old queue first')
  early.destroy()
  late.destroy()
})

test('a port that cannot be prepared leaves no descriptor behind', (t) => {
  noLeak(t)
  fakeKernel(t, { listen: () => errnoOf('EADDRINUSE') })
  assert.throws(() => ListeningPort.open({ host: '127.0.0.1', port: 0 }), { code: 'EADDRINUSE' })
})

test('a lack of descriptors resets nobody who waits on a path that was removed', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const port = opened(t, { path })
  const early = await connect({ path })
  rmSync(path)
  port.renew()
  let short = true
  fakeKernel(t, { accept: (real, ...args) => (short ? errnoOf('EMFILE') : real(...args)) })
  assert.equal(port.accept(64), errnoOf('EMFILE'))
  short = false
  assert.equal(port.accept(64), 1)
  close(port.batch.descriptor(0))
  early.destroy()
})

test('a path whose folder is gone does not keep a port from closing', (t) => {
  noLeak(t)
  const folder = join(scratch(t), 'folder')
  mkdirSync(folder)
  const port = ListeningPort.open({ path: join(folder, 'socket') })
  rmSync(folder, { recursive: true })
  writeFileSync(folder, 'a file now')
  port.close()
  port.renew()
})

test('a port is sent as it is, and what arrives accepts its connections', async (t) => {
  noLeak(t)
  const port = opened(t, { host: '127.0.0.1', port: 0 })
  const [left, right] = sendmsg.socketpair()
  sendmsg.sendmsg(left, Buffer.from('!'), [sendmsg.rights([port])])
  const [copy] = sendmsg.takeDescriptors(sendmsg.recvmsg(right, 1, 64)?.ancillary ?? [])
  assert.ok(copy !== undefined)
  const client = await connect({ port: (port.address as { port: number }).port })
  await sendmsg.readable(copy)
  const accepted = sendmsg.accept(copy)
  assert.deepEqual(accepted?.address, { family: 'IPv4', address: '127.0.0.1', port: client.localPort })
  client.destroy()
  for (const descriptor of [left, right, copy, accepted?.descriptor]) descriptor?.close()
  port.close()
  assert.equal(port.fd, -1)
})
