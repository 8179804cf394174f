/** Channels by a path: what becomes of the file. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import net from 'node:net'
import { dirname, join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type ChannelListener, type ChannelListenOptions, connect, listen, SyscallError } from '../../src/index.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { scratch } from '../support/paths.js'
import { error, openPath, peer, STRANGER } from '../support/peers.js'

async function listening(t: TestContext, path: string, options: ChannelListenOptions = {}): Promise<ChannelListener> {
  const listener = await listen(path, options)
  t.after(() => listener.close())
  return listener
}

const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8)

/** A socket file that nobody listens at any more. */
function staleFile(path: string): void {
  execFileSync('python3', ['-c', 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])', path])
  assert.ok(statSync(path).isSocket())
}

for (const umask of [0o000, 0o077]) {
  test(`the mode holds before the first client can connect, umask ${umask.toString(8)}`, async (t) => {
    noLeak(t)
    const before = process.umask(umask)
    t.after(() => process.umask(before))
    const path = join(scratch(t), 'socket')
    let first = ''
    fakeKernel(t, {
      listen: (real, descriptor, backlog) => {
        first = modeOf(path)
        return real(descriptor, backlog)
      },
    })
    for (const mode of [undefined, 0o600, 0o660, 0o666, 0o620, 0o777]) {
      const listener = await listening(t, path, mode === undefined ? {} : { mode })
      assert.equal(first, (mode ?? 0o600).toString(8))
      assert.equal(modeOf(path), (mode ?? 0o600).toString(8))
      listener.close()
    }
  })
}

test('the owner holds before the first client can connect', { skip: process.getuid?.() !== 0 }, async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  let first: unknown
  fakeKernel(t, {
    listen: (real, descriptor, backlog) => {
      const { uid, gid } = statSync(path)
      first = { uid, gid }
      return real(descriptor, backlog)
    },
  })
  await listening(t, path, { owner: { uid: STRANGER, gid: STRANGER + 1 }, mode: 0o660 })
  const { uid, gid } = statSync(path)
  assert.deepEqual({ uid, gid }, { uid: STRANGER, gid: STRANGER + 1 })
  assert.equal(modeOf(path), '660')
  assert.deepEqual(first, { uid: STRANGER, gid: STRANGER + 1 })
})

test('an owner that this user cannot give is a clear error, and nothing stays', async (t) => {
  noLeak(t)
  const path = openPath(t)
  chmodSync(dirname(path), 0o777)
  const other = peer(t, 'listen', path, { user: STRANGER, owner: { uid: 0, gid: 0 } })
  const { code, name, hint } = await other.hears<{ code: string; name: string; hint: string }>('failed')
  assert.deepEqual([code, name], ['EPERM', 'SyscallError'])
  assert.notEqual(hint, '')
  assert.ok(!existsSync(path))
})

test('a stale file is replaced', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  staleFile(path)
  chmodSync(path, 0o777)
  const listener = await listening(t, path)
  assert.equal(modeOf(path), '600')
  const [theirs, ours] = await Promise.all([connect(path), listener.accept()])
  theirs.close()
  ours?.close()
})

test('what a killed process leaves is replaced', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const first = peer(t, 'listen', path)
  await first.hears('listening')
  await first.kill()
  assert.ok(existsSync(path))
  await listening(t, path)
})

test('a live owner is left alone: EADDRINUSE, with what to do', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const owner = peer(t, 'listen', path)
  await owner.hears('listening')
  const { ino } = statSync(path)
  await assert.rejects(listen(path), (thrown) => {
    assert.ok(thrown instanceof SyscallError)
    return error('EADDRINUSE', new RegExp(path), /Another program has this name/)(thrown)
  })
  assert.equal(statSync(path).ino, ino)
  const channel = await connect(path)
  await owner.hears('open')
  channel.close()
})

test('of two that start at once one listens, the other is told', async (t) => {
  noLeak(t)
  for (const stale of [false, true, true, false]) {
    const path = join(scratch(t), 'socket')
    if (stale) staleFile(path)
    const both = [peer(t, 'listen', path), peer(t, 'listen', path), peer(t, 'listen', path)]
    const outcomes = await Promise.all(
      both.map((one) =>
        Promise.race([
          one.hears('listening').then(() => 'listening'),
          one.hears<{ code: string }>('failed').then(({ code }) => code),
        ]).catch(() => 'neither'),
      ),
    )
    assert.deepEqual(outcomes.sort(), ['EADDRINUSE', 'EADDRINUSE', 'listening'])
    const channel = await connect(path)
    channel.close()
    await Promise.all(both.map((one) => one.kill()))
  }
})

test('a file that is no socket is never touched', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const path = (name: string): string => join(folder, name)
  writeFileSync(path('file'), 'precious')
  mkdirSync(path('folder'))
  symlinkSync('nowhere', path('dangling'))
  symlinkSync('file', path('link'))
  execFileSync('mkfifo', [path('fifo')])
  for (const name of ['file', 'folder', 'dangling', 'link', 'fifo']) {
    const { ino, mode } = lstatSync(path(name))
    await assert.rejects(listen(path(name)), error('EADDRINUSE'), name)
    assert.deepEqual([lstatSync(path(name)).ino, lstatSync(path(name)).mode], [ino, mode], name)
  }
  assert.equal(readFileSync(path('file'), 'utf8'), 'precious')
  assert.ok(!existsSync(path('nowhere')))
})

test('a path that cannot be is a clear error', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const long = join(folder, 'x'.repeat(120))
  await assert.rejects(listen(long), { name: 'RangeError', message: /path: 1 to 107 bytes/ })
  await assert.rejects(connect(long), { name: 'RangeError', message: /at most 10[38] bytes/ })
  await assert.rejects(listen(join(folder, 'none', 'socket')), error('ENOENT', /none/, /Create the directory/))
  await assert.rejects(listen(''), { name: 'TypeError', message: /^address: a path, @name/ })
  await assert.rejects(listen(5 as never), { name: 'TypeError', message: /^address: a path, @name.*, not 5$/ })
  await assert.rejects(connect(join(folder, 'a\0b')), TypeError)
  writeFileSync(join(folder, 'file'), '')
  await assert.rejects(listen(join(folder, 'file', 'socket')), { code: 'ENOTDIR' })
  for (const options of [
    { mode: -1 },
    { mode: 0o10000 },
    { mode: 1.5 },
    { backlog: 0 },
    { owner: { uid: -1, gid: 0 } },
  ])
    await assert.rejects(listen(join(folder, 'never'), options), RangeError)
  for (const options of [{ mode: '600' }, { backlog: '5' }, { owner: { uid: 0 } }, { owner: { uid: 'x', gid: 0 } }])
    await assert.rejects(listen(join(folder, 'never'), options as never), TypeError)
  assert.ok(!existsSync(join(folder, 'never')))
})

test('without rights to the folder, or to the file, the error says so', async (t) => {
  noLeak(t)
  const path = openPath(t)
  const other = peer(t, 'listen', path, { user: STRANGER })
  const refused = await other.hears<{ code: string; hint: string }>('failed')
  assert.equal(refused.code, 'EACCES')
  assert.match(refused.hint, /rights/)
  await listening(t, path)
  const client = peer(t, 'connect', path, { user: STRANGER })
  const told = await client.hears<{ code: string; syscall: string; hint: string }>('failed')
  assert.deepEqual([told.code, told.syscall], ['EACCES', 'connect'])
  assert.match(told.hint, /UNIX path needs the right to write/)
})

test('closing removes the file, but only its own', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const first = await listening(t, path)
  first.close()
  assert.ok(!existsSync(path))
  const second = await listening(t, path)
  rmSync(path)
  const third = await listening(t, path)
  second.close()
  assert.ok(statSync(path).isSocket(), 'another socket has the path by now')
  const [theirs, ours] = await Promise.all([connect(path), third.accept()])
  theirs.close()
  ours?.close()
  renameSync(path, `${path}.kept`)
  writeFileSync(path, 'a file')
  third.close()
  assert.equal(readFileSync(path, 'utf8'), 'a file')
})

test('the address is what connect takes, in other processes and folders too', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const home = process.cwd()
  t.after(() => process.chdir(home))
  process.chdir(folder)
  for (const address of [join(folder, 'absolute'), `unix:${join(folder, 'scheme')}`, './relative', 'bare']) {
    const listener = await listening(t, address)
    const other = peer(t, 'connect', listener.address, {}, { cwd: '/' })
    await Promise.race([
      other.hears('open'),
      other.hears('failed').then((told) => assert.fail(`${listener.address}: ${JSON.stringify(told)}`)),
    ])
    const channel = await listener.accept()
    channel?.close()
    listener.close()
    await other.kill()
  }
})

test('a relative path is removed where it was made', async (t) => {
  noLeak(t)
  const folder = scratch(t)
  const home = process.cwd()
  t.after(() => process.chdir(home))
  process.chdir(folder)
  const listener = await listening(t, 'socket')
  process.chdir('/')
  listener.close()
  assert.ok(!existsSync(join(folder, 'socket')))
})

test('a listener closed while peers connect leaves nothing behind', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const listener = await listening(t, path)
  const coming = Array.from({ length: 20 }, () => connect(path, { timeout: 5_000 }))
  const silent = net.connect(path)
  silent.on('error', () => {})
  const gone = new Promise((resolve) => silent.once('close', resolve))
  await new Promise((resolve) => silent.once('connect', resolve))
  listener.close()
  listener.close()
  assert.ok(listener.closed)
  for (const { status, value } of (await Promise.allSettled(coming)) as PromiseFulfilledResult<never>[]) {
    if (status === 'fulfilled') (value as { close(): void }).close()
  }
  silent.destroy()
  await gone
  assert.equal(await listener.accept(), null)
  await assert.rejects(connect(path), error('ENOENT'))
})
