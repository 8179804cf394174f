/** How channels end, and what must not be forgotten on the way. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { lendToThread, spawnWithLink } from '../../src/bootstrap/inherit.js'
import { Link } from '../../src/channel/link.js'
import { errnoOf } from '../../src/errors.js'
import { close, closeMany } from '../../src/syscalls/descriptor.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { hello, linkAndSocket, linkPair, raw, traced, transportsFrame } from '../support/links.js'
import { uncaught } from '../support/uncaught.js'
import { until } from '../support/wait.js'

test('a peer that dies with much unread on both sides is read to its end', async (t) => {
  noLeak(t)
  let ended = false
  const [ours, theirs] = socketpair()
  const channel = new Link(ours, {
    transports: (_, descriptors) => closeMany(descriptors),
    closed: () => {
      ended = true
    },
  })
  t.after(() => channel.close())
  raw(theirs, hello)
  const things = Array.from({ length: 60 }, traced)
  for (const [i, { descriptor }] of things.entries()) {
    raw(theirs, transportsFrame(i, 1, 1), [descriptor])
    close(descriptor)
  }
  close(theirs) // our hello lies there unread: the kernel reports a reset, and writes fail
  await until('the end is seen', () => ended)
  assert.ok(things.every((thing) => thing.isGone()))
  for (const { watch } of things) close(watch)
})

test('nothing is handed out before the kernel has its claim; then it is, whatever the claim went out with', async (t) => {
  noLeak(t)
  const got: number[] = []
  const { channel, socket } = linkAndSocket(t, { transports: (_, descriptors) => got.push(...descriptors) })
  raw(socket, hello)
  await until('the hello is read', () => channel.peer !== null)
  let blocked = false
  fakeKernel(t, {
    sendmsg: (real, ...args) => (blocked && args[0] !== socket ? errnoOf('EAGAIN') : real(...args)),
  })
  blocked = true
  const thing = traced()
  raw(socket, transportsFrame(0, 1, 1), [thing.descriptor])
  close(thing.descriptor)
  // Within one callback: the claim is blocked, then another word unblocks it, and no event comes any more.
  const read = new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))
  await read
  assert.deepEqual(got, [], 'the claim is not with the kernel')
  blocked = false
  channel.send('something else')
  await until('it is handed out', () => got.length === 1)
  closeMany(Int32Array.from(got))
  close(thing.watch)
})

test('a failure that is not the end of the peer ends the channel, and everything is given back', async (t) => {
  noLeak(t)
  let error: (Error & { code?: string }) | null = null
  const back: number[] = []
  const [left] = await linkPair(
    t,
    {
      closed: (reason, returned) => {
        error = reason
        back.push(...returned.descriptors)
      },
    },
    {},
  )
  fakeKernel(t, { sendmsg: () => errnoOf('EINVAL') })
  const thing = traced()
  left.take(thing.descriptor, 1)
  left.flush()
  assert.equal((error as { code?: string } | null)?.code, 'EINVAL')
  assert.deepEqual(back, [thing.descriptor])
  closeMany(Int32Array.of(thing.descriptor, thing.watch))
})

test('a handler that throws costs neither the channel nor a descriptor', async (t) => {
  noLeak(t)
  const thrown = uncaught(t)
  const fail = (): never => {
    throw new Error('mine')
  }
  const got: number[] = []
  const [left] = await linkPair(
    t,
    { claimed: fail, finished: fail, opened: fail },
    { transports: (_, descriptors) => got.push(...descriptors) },
  )
  const things = [traced(), traced()]
  for (const { descriptor } of things) {
    left.take(descriptor, 1)
    left.flush()
    await until('it is claimed', () => left.unclaimed === 0)
  }
  await until('both arrived', () => got.length === 2)
  assert.ok(!left.closed && thrown.length >= 2)
  closeMany(Int32Array.from([...got, ...things.map(({ watch }) => watch)]))
})

test('a channel that cannot be watched leaves nothing behind, with a child or a thread', (t) => {
  noLeak(t)
  fakeKernel(t, { watchOpen: () => errnoOf('ENOMEM') })
  assert.throws(() => spawnWithLink(process.execPath, ['-e', ''], {}, {}), { code: 'ENOMEM' })
  assert.throws(() => lendToThread({}), { code: 'ENOMEM' })
})
