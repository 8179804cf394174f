/** Waiting: until something can be done, an end, an error, a close or an abort; and nothing is left of it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { getEventListeners, once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import * as api from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { root } from '../support/paths.js'
import { assertUsable, type Ends, fill, owned, send, socketKinds, streams } from '../support/socket-kinds.js'

const byte = Buffer.from('x')
const waits = [api.readable, api.writable, api.urgent]

function pair(t: TestContext): Ends {
  const [left, right] = api.socketpair()
  return { left: owned(t, left), right: owned(t, right), to: undefined, back: undefined, from: null }
}

/** Descriptors that are watched; none may be left over at the end. */
function watchers(t: TestContext): { readonly open: number } {
  const armed = new Set<number>()
  t.after(() => assert.deepEqual([...armed], [], 'watched for nobody'))
  fakeKernel(t, {
    readyArm: (real, queue, descriptor, events) => {
      const done = real(queue, descriptor, events)
      if (events === 0) armed.delete(descriptor)
      else if (done === 0) armed.add(descriptor)
      return done
    },
    readyTake: (real, queue, rows) => {
      const count = real(queue, rows)
      for (let i = 0; i < count; i++) armed.delete(rows[2 * i] as number) // each is told of once
      return count
    },
  })
  return {
    get open() {
      return armed.size
    },
  }
}

/** What became of a promise so far. */
function watched(promise: Promise<void>): { state: string } {
  const seen = { state: 'pending' }
  promise.then(
    () => (seen.state = 'ready'),
    (error: { code?: string; name: string }) => (seen.state = error.code?.toString() ?? error.name),
  )
  return seen
}

for (const kind of socketKinds) {
  test(`a socket is readable when something comes, and not before: ${kind.name}`, async (t) => {
    noLeak(t)
    const count = watchers(t)
    const ends = await kind.pair(t)
    const seen = watched(api.readable(ends.right))
    await turn()
    await turn()
    assert.equal(seen.state, 'pending')
    const waiting = api.readable(ends.right)
    send(ends, byte)
    await waiting
    assert.deepEqual([seen.state, count.open], ['ready', 0])
    await api.readable(ends.right) // it still is: nobody has read
    assert.equal(api.recvmsg(ends.right)?.data.length, 1)
  })
}

for (const kind of socketKinds.filter(({ stream, ends }) => stream || ends)) {
  test(`a full socket is writable when its peer has read, and not before: ${kind.name}`, async (t) => {
    noLeak(t)
    watchers(t)
    const ends = await kind.pair(t)
    let left = fill(ends, 10_000)
    const waiting = api.writable(ends.left)
    const seen = watched(waiting)
    await turn()
    await turn()
    // What TCP had taken may have gone on to the peer's buffer meanwhile.
    if (kind.family === 'UNIX') assert.equal(seen.state, 'pending')
    while (left > 0) {
      await api.readable(ends.right)
      left -= api.recvmsg(ends.right)?.data.length ?? 0
    }
    await waiting
    assert.equal(send(ends, byte), 1)
  })

  test(`the end of the peer wakes all who wait: ${kind.name}`, async (t) => {
    noLeak(t)
    watchers(t)
    const ends = await kind.pair(t)
    fill({ ...ends, left: ends.right, right: ends.left, to: ends.back, back: ends.to }, 10_000)
    const all = [api.readable(ends.right), api.readable(ends.right), api.urgent(ends.right), api.writable(ends.right)]
    // TCP ends with a reset as bytes lie there unread; a UNIX socket hangs up.
    ends.left.close()
    await Promise.all(all)
    await Promise.all(waits.map((wait) => wait(ends.right)))
  })
}

test('who waits in different directions is woken for his own', async (t) => {
  noLeak(t)
  const count = watchers(t)
  const ends = pair(t)
  fill(ends, 10_000)
  const readers = [api.readable(ends.left), api.readable(ends.left)].map(watched)
  const controller = new AbortController()
  const aborted = watched(api.writable(ends.left, { signal: controller.signal }))
  const writers = [api.writable(ends.left), api.writable(ends.left)]
  assert.equal(count.open, 1, 'watched once for all')
  controller.abort()
  await turn()
  assert.equal(aborted.state, '20', 'the number of an AbortError')
  while (api.recvmsg(ends.right) !== null);
  await Promise.all(writers)
  assert.deepEqual([readers.map(({ state }) => state), count.open], [['pending', 'pending'], 1])
  const reader = api.readable(ends.left)
  api.sendmsg(ends.right, byte)
  await reader
  assert.deepEqual([readers.map(({ state }) => state), count.open], [['ready', 'ready'], 0])
})

test('a signal that is aborted already ends the wait with its reason, and nothing is watched', async (t) => {
  noLeak(t)
  const count = watchers(t)
  const { left } = pair(t)
  const reason = new Error('mine')
  for (const wait of waits) {
    await assert.rejects(wait(left, { signal: AbortSignal.abort(reason) }), reason)
    await assert.rejects(wait(left, { signal: AbortSignal.abort() }), { name: 'AbortError' })
  }
  assert.equal(count.open, 0)
})

test('a signal aborted meanwhile ends the waits that have it, and leaves no listener', async (t) => {
  noLeak(t)
  const count = watchers(t)
  const ends = pair(t)
  const { left } = ends
  const controller = new AbortController()
  const { signal } = controller
  const reason = new Error('mine')
  const ended = [api.readable(left, { signal }), api.urgent(left, { signal })]
  const stays = api.readable(left)
  assert.equal(getEventListeners(signal, 'abort').length, 1, 'one for all, or Node warns of too many')
  controller.abort(reason)
  for (const one of ended) await assert.rejects(one, reason)
  assert.deepEqual([getEventListeners(signal, 'abort').length, count.open], [0, 1])
  api.sendmsg(ends.right, byte)
  await stays
  const unused = new AbortController()
  for (const wait of [api.readable, api.writable]) await wait(left, { signal: unused.signal })
  await assert.rejects(api.readable(1 << 20, { signal: unused.signal }), { code: 'EBADF' })
  assert.equal(getEventListeners(unused.signal, 'abort').length, 0)
  assert.equal(api.recvmsg(left)?.data.length, 1)
  await assertUsable(ends)
})

test('a signal with a time limit ends the wait with a TimeoutError', async (t) => {
  noLeak(t)
  watchers(t)
  const { left } = pair(t)
  const unrefd = setInterval(() => {}, 1000) // the signal's timer keeps nothing alive, the wait does; be sure of it
  t.after(() => clearInterval(unrefd))
  await assert.rejects(api.readable(left, { signal: AbortSignal.timeout(1) }), { name: 'TimeoutError' })
})

for (const [how, close] of [
  ['by its owner', (descriptor: api.Descriptor) => descriptor.close()],
  ['by its number', (descriptor: api.Descriptor) => api.close(descriptor.release())],
  ['at the end of a block', (descriptor: api.Descriptor) => descriptor[Symbol.dispose]()],
] as const) {
  test(`closing a descriptor, ${how}, ends all waits for it, and its number is free for others`, async (t) => {
    noLeak(t)
    const count = watchers(t)
    const { left, right } = pair(t)
    const { fd } = left
    fill({ left, right, to: undefined, back: undefined, from: null }, 10_000)
    const all = [api.readable(left), api.writable(left), api.urgent(left), api.readable(fd)]
    close(left)
    const next = owned(t, api.dup(right))
    assert.equal(next.fd, fd)
    const waiting = api.readable(next) // the end of the other is there
    for (const one of all) await assert.rejects(one, { name: 'SyscallError', code: 'ECANCELED', syscall: 'poll' })
    await waiting
    assert.equal(count.open, 0)
  })
}

test('what cannot be waited for says why', async (t) => {
  noLeak(t)
  watchers(t)
  const { left } = pair(t)
  const file = openSync(join(root, 'package.json'), 'r')
  t.after(() => closeSync(file))
  const closed = api.dup(left)
  closed.close()
  const opening = { name: 'SyscallError', syscall: 'poll' }
  for (const wait of waits) {
    await assert.rejects(wait(file), { ...opening, code: 'EPERM' })
    await assert.rejects(wait(closed), { ...opening, code: 'EBADF' })
    await assert.rejects(wait(1 << 20), { ...opening, code: 'EBADF' })
  }
})

test('a net.Socket hears all that comes, whoever else waits for its descriptor', async (t) => {
  noLeak(t)
  watchers(t)
  const { left, right } = pair(t)
  const connection = new Socket({ fd: api.dup(right).release(), readable: true, writable: true })
  t.after(async () => {
    connection.destroy()
    if (!connection.closed) await once(connection, 'close')
  })
  const held = (connection as unknown as { _handle: { fd: number } })._handle.fd
  const stop = new AbortController()
  for (const wait of waits) {
    // The socket may have read it before the wait hears of it: either may happen.
    const waiting = wait(held, { signal: stop.signal }).catch(({ name }) => assert.equal(name, 'AbortError'))
    const heard = once(connection, 'data')
    api.sendmsg(left, byte)
    await heard
    t.after(() => waiting)
  }
  stop.abort()
})

test('a descriptor that is closed elsewhere right after it is waited for harms nobody', async (t) => {
  noLeak(t)
  const { left, right } = pair(t)
  const number = api.dup(left).release()
  const lost = api.readable(number, { signal: AbortSignal.timeout(1000) }).then(
    () => 'ready',
    (error) => error.name,
  )
  closeSync(number)
  api.sendmsg(right, byte)
  await api.readable(left)
  assert.ok(['ready', 'TimeoutError'].includes(await lost))
})

for (const kind of streams.filter(({ family }) => family !== 'UNIX')) {
  test(`a reset is no error of waiting: the next call has it: ${kind.name}`, async (t) => {
    noLeak(t)
    watchers(t)
    const ends = await kind.pair(t)
    api.setsockopt(ends.left, 'SO_LINGER', 0)
    const all = [api.readable(ends.right), api.urgent(ends.right)]
    ends.left.close()
    await Promise.all(all)
    assert.throws(() => api.recvmsg(ends.right), { code: 'ECONNRESET', syscall: 'recvmsg' })
    assert.equal(api.recvmsg(ends.right)?.data.length, 0)
  })
}

test('a wait keeps the process alive, and one that is over does not', () => {
  const module = JSON.stringify(join(root, 'dist/src/sendmsg/index.js'))
  const code = `import * as api from ${module}
    const [left, right] = api.socketpair()
    setTimeout(() => api.sendmsg(right, Buffer.from('x')), 50).unref()
    const controller = new AbortController()
    api.urgent(left, controller).catch(({ name }) => console.log(name))
    await api.readable(left)
    console.log('read')
    controller.abort()
    for (const end of [left, right]) process.on('exit', () => end.close())`
  const options = { encoding: 'utf8', timeout: 10_000 } as const
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', code], options)
  assert.deepEqual([stdout, status], ['read\nAbortError\n', 0])
})

test('an aborted signal without a reason is no readiness', async (t) => {
  noLeak(t)
  watchers(t)
  const [left] = api.socketpair().map((end) => owned(t, end)) as [api.Descriptor, api.Descriptor]
  const listeners: (() => void)[] = []
  const signal = {
    aborted: false,
    addEventListener: (_: string, listener: () => void) => void listeners.push(listener),
    removeEventListener: () => {},
  }
  const waiting = api.readable(left, { signal: signal as unknown as AbortSignal })
  for (const listener of listeners) listener()
  await assert.rejects(waiting, { name: 'AbortError' })
  signal.aborted = true
  await assert.rejects(api.readable(left, { signal: signal as unknown as AbortSignal }), { name: 'AbortError' })
})

test('a signal in the place of the options is refused, not overlooked', async (t) => {
  noLeak(t)
  const [left] = api.socketpair().map((end) => owned(t, end)) as [api.Descriptor, api.Descriptor]
  const signal = AbortSignal.abort() as unknown as api.WaitOptions
  await assert.rejects(api.readable(left, signal), { name: 'TypeError', message: /^options: an object \{ signal \}/ })
  const timeout = { timeout: 5 } as api.WaitOptions
  await assert.rejects(api.readable(left, timeout), { name: 'TypeError', message: /^options: .* not timeout$/ })
})

test('who waits for a number that was closed elsewhere is told when the number is another’s, which is heard of', async (t) => {
  noLeak(t)
  watchers(t)
  const [old, peer] = api.socketpair() as [api.Descriptor, api.Descriptor]
  const number = old.release()
  const lost = watched(api.readable(number))
  await turn()
  closeSync(number)
  peer.close()
  const [fresh, other] = api.socketpair().map((end) => owned(t, end)) as [api.Descriptor, api.Descriptor]
  assert.equal(fresh.fd, number, 'the lowest free number')
  await turn()
  assert.equal(lost.state, 'ECANCELED')
  const waiting = api.readable(fresh)
  api.sendmsg(other, byte)
  await waiting
})

test('releasing a descriptor ends the waits for it', async (t) => {
  noLeak(t)
  watchers(t)
  const [left, right] = api.socketpair()
  owned(t, right)
  const waiting = assert.rejects(api.readable(left), { code: 'ECANCELED' })
  const number = left.release()
  await waiting
  api.close(number)
})
