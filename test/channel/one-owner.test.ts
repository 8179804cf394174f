/** Whatever a program or a peer does in between: a thing ends claimed or still owned, and never both. */
import assert from 'node:assert/strict'
import { fstatSync } from 'node:fs'
import test from 'node:test'
import type { Delivery } from '../../src/channel/options.js'
import { errnoOf } from '../../src/errors.js'
import { close } from '../../src/syscalls/descriptor.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { FrameType } from '../../src/wire/frame.js'
import { encodeVerdict, encodeWithdrawal, Outcome } from '../../src/wire/offer.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { traced } from '../support/links.js'
import {
  type ArrivedThing,
  adopting,
  channelAndSocket,
  channelPair,
  offerFrame,
  Thing,
  turns,
} from '../support/things.js'
import { uncaught } from '../support/uncaught.js'
import { until } from '../support/wait.js'

test('a program that closes the channel while it decides on an offer leaves nothing open', async (t) => {
  noLeak(t)
  const { channel, peer, greet } = channelAndSocket(t, {
    willing: () => {
      channel.close()
      return true
    },
  })
  await greet()
  const { descriptor, watch, isGone } = traced()
  t.after(() => close(watch))
  peer.say(offerFrame(0, [descriptor]), [descriptor])
  close(descriptor)
  await until('the channel is closed', () => channel.closed)
  await until('what was offered is closed', isGone, 3_000)
  assert.equal(channel.waiting, 0)
})

for (const when of ['it decides on an offer', 'it hears of a refusal', 'a thing is made'] as const) {
  test(`a program that closes the channel while ${when} still hears what was claimed before`, async (t) => {
    noLeak(t)
    const closing = (): boolean => {
      channel.close()
      return false
    }
    const { channel, peer, greet } = channelAndSocket(
      t,
      when === 'it hears of a refusal'
        ? { willing: () => false }
        : when === 'a thing is made'
          ? {}
          : { willing: closing },
    )
    if (when === 'it hears of a refusal') channel.on('refused', closing)
    if (when === 'a thing is made') {
      adopting.hook = () => void closing()
      t.after(() => {
        adopting.hook = null
      })
    }
    await greet()
    const thing = new Thing(t)
    const outcome = channel.send('it', [thing]).then(
      () => 'claimed',
      (error) => error.code,
    )
    await peer.heard(FrameType.offer)
    const [offered, watch] = socketpair()
    t.after(() => close(watch))
    const received = channel.receive().catch(() => null)
    // One write: the peer's offer, and behind it that it has claimed ours.
    peer.say(Buffer.concat([offerFrame(0, [offered]), encodeVerdict(0, Outcome.claimed)]), [offered])
    close(offered)
    const delivery = (await received) as Delivery | null
    for (const made of delivery?.things ?? []) (made as ArrivedThing).close()
    assert.equal(await outcome, 'claimed', 'the peer had it')
    assert.deepEqual(thing.outcomes, ['claimed'])
  })
}

test('a peer that answers what it was not sent yet gets no other file in its place', async (t) => {
  noLeak(t)
  const { channel, own, peer, greet } = channelAndSocket(t)
  await greet()
  let blocked = true
  fakeKernel(t, {
    sendmsg: (real, ...args) => (blocked && args[0] === own ? errnoOf('EAGAIN') : real(...args)),
  })
  const thing = new Thing(t)
  const send = channel.send('it', [thing])
  send.catch(() => {})
  peer.say(encodeVerdict(0, Outcome.returned))
  await until('the answer was heard', () => thing.outcomes.length > 0 || channel.closed)
  const others = Array.from({ length: 20 }, traced) // take the numbers that became free
  t.after(() => {
    for (const { descriptor, watch } of others) for (const one of [descriptor, watch]) close(one)
  })
  blocked = false
  channel.send('another').catch(() => {}) // the socket has room again
  await turns(5)
  peer.read()
  const inodes = new Set(others.flatMap(({ descriptor, watch }) => [fstatSync(descriptor).ino, fstatSync(watch).ino]))
  assert.deepEqual(
    peer.descriptors.map((descriptor) => inodes.has(fstatSync(descriptor).ino)).filter(Boolean),
    [],
    'descriptors of others are with the peer',
  )
  channel.close()
  await assert.rejects(send)
  peer.end()
  await thing.assertRestored()
})

test('a peer that answers what it was not sent yet ends the channel', async (t) => {
  noLeak(t)
  const { channel, own, peer, greet } = channelAndSocket(t)
  await greet()
  fakeKernel(t, { sendmsg: (real, ...args) => (args[0] === own ? errnoOf('EAGAIN') : real(...args)) })
  const thing = new Thing(t)
  const send = channel.send('it', [thing])
  const failed = assert.rejects(send)
  peer.say(encodeVerdict(0, Outcome.claimed))
  await failed
  await assert.rejects(channel.receive(), { code: 'ERR_HANDOVER_BAD_FRAME' })
  await thing.assertRestored()
})

/** The right side takes the first thing; before the left side reads that, its own next call fails. */
for (const [call, fakes] of [
  [
    'sendmsg',
    (fails: (socket: number) => boolean) => ({
      sendmsg: (real: (...args: never[]) => number, ...args: unknown[]) =>
        fails(args[0] as number) ? errnoOf('EINVAL') : real(...(args as never[])),
    }),
  ],
  [
    'recvmsg',
    (fails: (socket: number) => boolean) => ({
      recvmsg: (real: (...args: never[]) => number, ...args: unknown[]) =>
        fails(args[0] as number) ? errnoOf('ENOMEM') : real(...(args as never[])),
    }),
  ],
] as const) {
  test(`a thing whose claim is on its way when ${call} fails is not both sides'`, async (t) => {
    noLeak(t)
    const ends = socketpair()
    const [a] = ends
    const [left, right] = await channelPair(t, {}, {}, ends)
    let fails = false
    let calls = 0
    fakeKernel(t, fakes((socket) => fails && socket === a && (call === 'sendmsg' || calls++ === 0)) as never)
    const thing = new Thing(t)
    adopting.hook = () => {
      fails = true // the claim is with the kernel; the left side has not read it
      if (call === 'sendmsg') left.send('another').catch(() => {})
    }
    t.after(() => {
      adopting.hook = null
    })
    const sent = left.send('it', [thing]).then(
      () => 'claimed',
      () => 'restored',
    )
    const delivery = await right.receive()
    const outcome = await sent
    assert.deepEqual(thing.outcomes, [outcome])
    assert.equal(outcome, 'claimed', 'the right side has it: it cannot be the left side’s')
    await thing.assertClaimed(delivery?.things[0] as ArrivedThing)
  })
}

test('a kind that throws midway: the rest is closed, receive says why, and the channel lives', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  t.after(() => {
    adopting.hook = null
  })
  for (const slow of [false, true]) {
    adopting.hook = (details) => {
      if (details !== 'bad') return
      if (slow) return Promise.reject(new Error('cannot be made'))
      throw new Error('cannot be made')
    }
    const things = ['good', 'bad', 'good'].map((details) => new Thing(t, { details, count: 2 }))
    const sent = left.send('them', things)
    await assert.rejects(right.receive(), { message: 'cannot be made' })
    await sent
    for (const thing of things) {
      assert.deepEqual(thing.outcomes, ['claimed'])
      await until('every copy is closed', () => thing.isGone)
    }
  }
  const after = left.send('after')
  assert.equal((await right.receive())?.message, 'after')
  await after
})

test('a handler of the program that throws costs nothing', async (t) => {
  noLeak(t)
  const thrown = uncaught(t)
  const fail = (): never => {
    throw new Error('mine')
  }
  const [left, right] = await channelPair(t, {}, { willing: fail })
  right.on('refused', fail)
  const thing = new Thing(t)
  await assert.rejects(left.send('it', [thing]), { code: 'ERR_HANDOVER_REFUSED', message: /failed to decide/ })
  assert.ok(!right.closed)
  await until('both are told', () => thrown.length === 2)
  await thing.assertRestored()
})

test('a withdrawal that crosses the claim changes nothing', async (t) => {
  noLeak(t)
  const { channel, peer, greet } = channelAndSocket(t)
  await greet()
  const { descriptor, watch, isGone } = traced()
  t.after(() => close(watch))
  peer.say(offerFrame(0, [descriptor]), [descriptor])
  close(descriptor)
  const delivery = await channel.receive()
  peer.say(Buffer.concat([encodeWithdrawal(0), encodeWithdrawal(0), encodeWithdrawal(77)]))
  await peer.heard(FrameType.verdict)
  await turns()
  peer.read()
  assert.deepEqual(peer.verdicts, [[0, Outcome.claimed, '']])
  assert.ok(!channel.closed && !isGone())
  for (const thing of delivery?.things ?? []) (thing as ArrivedThing).close()
})
