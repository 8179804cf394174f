import assert from 'node:assert/strict'
import { fstatSync } from 'node:fs'
import test from 'node:test'
import { errnoOf } from '../../src/errors.js'
import { OUTBOX_BYTES_MAX } from '../../src/limits.js'
import { MSG_CTRUNC, SHUT_WR } from '../../src/syscalls/constants.js'
import { close, closeMany } from '../../src/syscalls/descriptor.js'
import { control, controlIndex, receivedControls } from '../../src/syscalls/exchange.js'
import { kernel } from '../../src/syscalls/kernel.js'
import { recvRights } from '../../src/syscalls/rights.js'
import { shutdown } from '../../src/syscalls/socket.js'
import { portFrame } from '../../src/wire/ports.js'
import { isCloseOnExec, noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { claimFrame, hello, linkAndSocket, linkPair, messageFrame, raw, traced } from '../support/links.js'
import { uncaught } from '../support/uncaught.js'
import { until } from '../support/wait.js'

test('transports arrive once claimed, close-on-exec, and the copies of the sender are closed', async (t) => {
  noLeak(t)
  const got: [number, number[]][] = []
  const [left, right] = await linkPair(t, {}, { transports: (tag, descriptors) => got.push([tag, [...descriptors]]) })
  const things = [traced(), traced(), traced()]
  for (const [i, { descriptor }] of things.entries()) left.take(descriptor, i < 2 ? 7 : 8)
  left.flush()
  await until('the claim is in', () => left.unclaimed === 0 && got.length === 2)
  assert.deepEqual(
    got.map(([tag, descriptors]) => [tag, descriptors.length]),
    [
      [7, 2],
      [8, 1],
    ],
  )
  for (const [, descriptors] of got) assert.ok(descriptors.every(isCloseOnExec))
  assert.ok(!things.some((thing) => thing.isGone()), 'the receiver holds them')
  for (const [, descriptors] of got) closeMany(Int32Array.from(descriptors))
  assert.ok(
    things.every((thing) => thing.isGone()),
    'nobody else does',
  )
  for (const { watch } of things) close(watch)
  right.close()
})

test('a descriptor that was sent but is not claimed stays open at the sender', async (t) => {
  noLeak(t)
  const { channel, socket } = linkAndSocket(t, { closed: (_, returned) => closeMany(returned.descriptors) })
  const thing = traced()
  raw(socket, hello)
  await until('the hello is read', () => channel.peer !== null)
  channel.take(thing.descriptor, 1)
  channel.flush()
  const arrived = new Int32Array(2)
  const descriptors = new Int32Array(253)
  const buffer = Buffer.alloc(4096)
  while (arrived[0] === 0) recvRights(socket, buffer, 0, buffer.length, descriptors, arrived)
  close(descriptors[0] as number)
  assert.equal(channel.unclaimed, 1)
  assert.ok(!thing.isGone(), 'the copy of the sender is there')
  raw(socket, claimFrame(1))
  await until('the claim closes it', () => thing.isGone())
  close(thing.watch)
})

test('a peer that does not read is bounded: its owner is told, and nothing is queued', async (t) => {
  noLeak(t)
  const { channel, socket } = linkAndSocket(t, {})
  raw(socket, hello)
  await until('the hello is read', () => channel.peer !== null)
  const text = 'x'.repeat(60_000)
  const fill = (): void => {
    for (let sent = 0; sent < 100 * OUTBOX_BYTES_MAX; sent += text.length) channel.send(text)
  }
  assert.throws(fill, { code: 'ERR_HANDOVER_OUTBOX_FULL' })
})

test('frames cut by short writes and full buffers arrive whole, their descriptors once', async (t) => {
  noLeak(t)
  let calls = 0
  fakeKernel(t, {
    sendmsg: (real, socket, data, ...rest) => {
      calls += 1
      if (calls % 3 === 0) return errnoOf('EAGAIN')
      return real(socket, (data as Uint8Array).subarray(0, 1 + (calls % 7)), ...rest)
    },
  })
  const got: number[] = []
  const messages: unknown[] = []
  const [left] = await linkPair(
    t,
    {},
    { transports: (_, descriptors) => got.push(...descriptors), message: (message) => messages.push(message) },
  )
  const things = Array.from({ length: 40 }, traced)
  things.forEach(({ descriptor }, i) => {
    left.take(descriptor, 1 + (i % 2))
    if (i % 5 === 0) left.send({ i })
    left.flush()
  })
  await until('all arrived', () => got.length === things.length && left.unclaimed === 0)
  assert.equal(new Set(got.map((descriptor) => fstatSync(descriptor).ino)).size, things.length, 'no two are the same')
  assert.deepEqual(
    messages,
    [0, 5, 10, 15, 20, 25, 30, 35].map((i) => ({ i })),
  )
  closeMany(Int32Array.from(got))
  assert.ok(things.every((thing) => thing.isGone()))
  for (const { watch } of things) close(watch)
})

test('too many descriptors in flight is waited out', async (t) => {
  noLeak(t)
  let refusals = 5
  fakeKernel(t, {
    sendmsg: (real, ...args) => (args[3] > 0 && refusals-- > 0 ? errnoOf('ETOOMANYREFS') : real(...args)),
  })
  const got: number[] = []
  const [left] = await linkPair(t, {}, { transports: (_, descriptors) => got.push(...descriptors) })
  const thing = traced()
  left.take(thing.descriptor, 1)
  left.flush()
  assert.equal(left.queued, 1)
  await until('it arrived', () => got.length === 1)
  closeMany(Int32Array.from(got))
  close(thing.watch)
})

test('descriptors cut off for want of room are refused, and the sender has them all again', async (t) => {
  noLeak(t)
  let cut = true
  fakeKernel(t, {
    recvmsg: (real, ...args) => {
      const received = real(...args)
      const [, , offset, length] = controlIndex as unknown as [number, number, number, number]
      if (cut && receivedControls() === 1 && length > 4) {
        cut = false
        closeMany(new Int32Array(kernel.exchange, control.byteOffset + offset + 4, length / 4 - 1))
        controlIndex[3] = 4
        new Int32Array(kernel.exchange)[0] = MSG_CTRUNC
      }
      return received
    },
  })
  const back: number[] = []
  const got: number[] = []
  let lost = 0
  const [left] = await linkPair(
    t,
    { returned: ({ descriptors, tags }) => back.push(...descriptors, ...tags) },
    {
      transports: (_, descriptors) => got.push(...descriptors),
      lost: (count) => {
        lost += count
      },
    },
  )
  const things = [traced(), traced(), traced()]
  for (const { descriptor } of things) left.take(descriptor, 5)
  left.flush()
  await until('they came back', () => back.length > 0)
  assert.deepEqual(back, [...things.map(({ descriptor }) => descriptor), 5, 5, 5])
  assert.deepEqual([lost, got.length, left.unclaimed], [3, 0, 0])
  for (const { descriptor } of things) left.take(descriptor, 6)
  left.flush()
  await until('the second try succeeds', () => got.length === 3 && left.unclaimed === 0)
  closeMany(Int32Array.from(got))
  assert.ok(things.every((thing) => thing.isGone()))
  for (const { watch } of things) close(watch)
})

test('a receiver that is not willing sends transports back', async (t) => {
  noLeak(t)
  const back: number[] = []
  const [left] = await linkPair(
    t,
    { returned: ({ descriptors }) => back.push(...descriptors) },
    { willing: (tag) => tag === 1, transports: (_, descriptors) => closeMany(descriptors) },
  )
  const [welcome, unwelcome] = [traced(), traced()]
  left.take(welcome.descriptor, 1)
  left.take(unwelcome.descriptor, 2)
  left.flush()
  await until('one is claimed, one came back', () => back.length === 1 && left.unclaimed === 0)
  assert.deepEqual(back, [unwelcome.descriptor])
  assert.ok(welcome.isGone() && !unwelcome.isGone())
  closeMany(Int32Array.from([unwelcome.descriptor, welcome.watch, unwelcome.watch]))
})

test('the end of the peer returns what was queued or unclaimed, after all it wrote was read', async (t) => {
  noLeak(t)
  const { channel, socket } = linkAndSocket(t, {
    message: (message) => heard.push(message),
    closed: (error, returned) => {
      end = { error, descriptors: [...returned.descriptors] }
    },
  })
  const heard: unknown[] = []
  let end: { error: Error | null; descriptors: number[] } | null = null
  raw(socket, hello)
  await until('the hello is read', () => channel.peer !== null)
  const things = [traced(), traced(), traced()]
  for (const { descriptor } of things.slice(0, 2)) channel.take(descriptor, 1)
  channel.flush()
  raw(socket, Buffer.concat([claimFrame(1), messageFrame('"last words"')]))
  channel.take(things[2]?.descriptor as number, 1)
  fakeKernel(t, { sendmsg: () => errnoOf('EPIPE') })
  channel.flush()
  assert.equal(end, null, 'a failed write alone does not end it')
  channel.closeAfterDeath()
  assert.deepEqual(heard, ['last words'])
  assert.deepEqual(end, { error: null, descriptors: things.slice(1).map(({ descriptor }) => descriptor) })
  for (const { descriptor } of things.slice(1)) close(descriptor)
  for (const { watch } of things) close(watch)
})

test('a handler that throws surfaces as an uncaught exception, and the others are still served', async (t) => {
  noLeak(t)
  const thrown = uncaught(t)
  const heard: unknown[] = []
  const [left] = await linkPair(
    t,
    {},
    {
      message: (message) => {
        if (message === 'bad') throw new Error('handler')
        heard.push(message)
      },
    },
  )
  for (const message of ['one', 'bad', 'two']) left.send(message)
  await until('all were handed out', () => heard.length === 2 && thrown.length === 1)
  assert.deepEqual(heard, ['one', 'two'])
})

test('waitFor answers without the event loop, and what else arrived comes later, in order', async (t) => {
  noLeak(t)
  const heard: unknown[] = []
  const { channel, socket } = linkAndSocket(t, { message: (message) => heard.push(message) })
  const say = (value: unknown): Buffer => messageFrame(JSON.stringify(value))
  raw(socket, Buffer.concat([hello, say('before'), say({ reply: 1 }), say('after')]))
  const isReply = (message: unknown): message is { reply: number } => (message as { reply?: number }).reply === 1
  assert.deepEqual(channel.waitFor(isReply, 1000), { reply: 1 })
  assert.deepEqual(heard, [])
  await until('the rest is delivered', () => heard.length === 2)
  assert.deepEqual(heard, ['before', 'after'])
  assert.throws(() => channel.waitFor(isReply, 20), { code: 'ERR_HANDOVER_NO_ANSWER' })
})

test('an answer that comes together with the end is heard, and what else came before the end, later', async (t) => {
  noLeak(t)
  const heard: unknown[] = []
  const { channel, socket } = linkAndSocket(t, {
    message: (message) => heard.push(message),
    port: (port, descriptor) => {
      heard.push(port)
      close(descriptor as number)
    },
    closed: () => heard.push('closed'),
  })
  const thing = traced()
  raw(socket, Buffer.concat([hello, messageFrame(JSON.stringify({ reply: 1 }))]))
  raw(socket, portFrame(7), [thing.descriptor])
  close(thing.descriptor)
  shutdown(socket, SHUT_WR)
  const isReply = (message: unknown): message is { reply: number } => (message as { reply?: number }).reply === 1
  assert.deepEqual(channel.waitFor(isReply, 1000), { reply: 1 })
  assert.deepEqual([heard, channel.closed], [[], false])
  await until('the end is heard', () => channel.closed)
  assert.deepEqual(heard, [7, 'closed'])
  assert.throws(() => channel.waitFor(isReply, 1000), { code: 'ERR_HANDOVER_CLOSED' })
  close(thing.watch)
})

test('who waits until the kernel has all that is owed is told, even if nothing was ever in the way', async (t) => {
  const drains: number[] = []
  const [left] = await linkPair(t, { drained: () => drains.push(1) }, {})
  left.statusDelay = 1
  await until('nothing is owed', () => left.idle)
  drains.length = 0
  left.finish(1)
  assert.equal(left.idle, false)
  await until('it is told', () => drains.length > 0)
  assert.equal(left.idle, true)
})
