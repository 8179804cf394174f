/** Every way in which a send ends: the thing is claimed or as before, once, and nobody else has a copy. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Channel } from '../../src/channel/channel.js'
import type { ChannelOptions } from '../../src/channel/options.js'
import { OFFER_BYTES_MAX } from '../../src/limits.js'
import { MSG_CTRUNC } from '../../src/syscalls/constants.js'
import { closeMany } from '../../src/syscalls/descriptor.js'
import { control, controlIndex, receivedControls } from '../../src/syscalls/exchange.js'
import { kernel } from '../../src/syscalls/kernel.js'
import { FrameType } from '../../src/wire/frame.js'
import { encodeVerdict, Outcome } from '../../src/wire/offer.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { type ArrivedThing, channelAndSocket, channelPair, Thing, turns } from '../support/things.js'

interface Row {
  code: string | RegExp
  /** What the receiver says of it by `refused`, if it does. */
  told?: string
  right?: ChannelOptions
  before?(t: TestContext): void
  /** What happens once the offer has arrived and waits there. */
  act?(left: Channel, right: Channel, controller: AbortController): void
  timeout?: number
  /** Whether the left side is at its end afterwards. */
  ends?: true
}

/** The kernel gives `kept` of the descriptors of the next message that has some, as for a process at its limit. */
function cutOff(t: TestContext, kept: number): void {
  let cut = true
  fakeKernel(t, {
    recvmsg: (real, ...args) => {
      const received = real(...args)
      const [, , offset, length] = controlIndex as unknown as [number, number, number, number]
      if (!cut || receivedControls() !== 1 || length < 12) return received
      cut = false
      closeMany(new Int32Array(kernel.exchange, control.byteOffset + offset + 4 * kept, length / 4 - kept))
      controlIndex[3] = 4 * kept
      new Int32Array(kernel.exchange)[0] = MSG_CTRUNC
      return received
    },
  })
}

const rows: Record<string, Row> = {
  'is refused without a reason': {
    code: 'ERR_HANDOVER_REFUSED',
    told: 'ERR_HANDOVER_REFUSED',
    right: { willing: ({ message }) => message !== 'it' },
  },
  'is refused with a reason': {
    code: /the peer refused: not on Sundays/,
    told: 'ERR_HANDOVER_REFUSED',
    right: {
      willing: ({ message, kinds }) => (message === 'it' && kinds.join() === 'traced,traced' ? 'not on Sundays' : true),
    },
  },
  'finds no room for any descriptor': {
    code: 'ERR_HANDOVER_REFUSED',
    told: 'ERR_HANDOVER_REFUSED',
    before: (t) => cutOff(t, 0),
  },
  'finds room for some descriptors': { code: /limit/, told: 'ERR_HANDOVER_REFUSED', before: (t) => cutOff(t, 2) },
  'waits at a peer that closes': { code: 'ERR_HANDOVER_RETURNED', act: (_, right) => right.close(), ends: true },
  'waits at a peer when this side closes': { code: 'ERR_HANDOVER_CLOSED', act: (left) => left.close(), ends: true },
  'is aborted while it waits at the peer': {
    code: 'ABORTED',
    act: (_, __, controller) => controller.abort({ code: 'ABORTED' }),
  },
  'is not taken in time': { code: 'ERR_HANDOVER_TIMED_OUT', timeout: 30 },
}

for (const [rule, { code, told, right: options, before, act, timeout, ends }] of Object.entries(rows)) {
  test(`a thing that ${rule} is as before, and the other side has no copy`, async (t) => {
    noLeak(t)
    const [left, right] = await channelPair(t, {}, options)
    before?.(t)
    const refusals: string[] = []
    right.on('refused', (error) => refusals.push(error.code))
    const things = [new Thing(t, { count: 2 }), new Thing(t)]
    const controller = new AbortController()
    const send = left.send('it', things, { signal: controller.signal, ...(timeout === undefined ? {} : { timeout }) })
    const failed = assert.rejects(send, code instanceof RegExp ? { message: code } : { code })
    if (act !== undefined) {
      const arrived = new Promise<void>((resolve) => {
        const look = (): void => void (right.waiting === 1 ? resolve() : setImmediate(look))
        look()
      })
      await arrived
      assert.deepEqual(things[0]?.outcomes, [], 'what has arrived is not taken yet')
      act(left, right, controller)
    }
    await failed
    for (const thing of things) await thing.assertRestored()
    assert.deepEqual(refusals, told === undefined ? [] : [told])
    assert.equal(left.pending, 0)
    if (ends) {
      assert.equal(await left.receive(), null)
      return
    }
    const after = left.send('after') // the channel lives
    const delivery = right.receive()
    assert.equal((await delivery)?.message, 'after')
    await after
  })
}

test('a thing of a kind that nobody knows at the other side is as before', async (t) => {
  noLeak(t)
  const { channel, peer, greet } = channelAndSocket(t)
  await greet()
  const thing = new Thing(t)
  const failed = assert.rejects(channel.send('it', [thing]), {
    code: 'ERR_HANDOVER_REFUSED',
    message: /no kind "traced" is registered here/,
  })
  await peer.heard(FrameType.offer)
  peer.say(encodeVerdict(0, Outcome.refused, 'no kind "traced" is registered here'))
  await failed
  peer.end()
  await thing.assertRestored()
})

test('a thing whose peer is gone is as before, whether it was read there or not', async (t) => {
  noLeak(t)
  for (const read of [false, true]) {
    const { channel, peer, greet } = channelAndSocket(t)
    await greet()
    const things = [new Thing(t), new Thing(t)]
    const failures = things.map((thing, i) =>
      assert.rejects(channel.send(i, [thing]), { code: 'ERR_HANDOVER_PEER_GONE' }),
    )
    if (read) await peer.heard(FrameType.offer, 2)
    peer.end()
    await Promise.all(failures)
    for (const thing of things) await thing.assertRestored()
    assert.equal(await channel.receive(), null)
  }
})

test('an abort before the hello, and one behind the window, needs no answer of anybody', async (t) => {
  noLeak(t)
  const { channel, peer, greet } = channelAndSocket(t)
  const controller = new AbortController()
  const early = new Thing(t)
  const failed = assert.rejects(channel.send('early', [early], { signal: controller.signal }), { name: 'AbortError' })
  controller.abort()
  await failed
  await early.assertRestored()
  await greet()
  const sends = Array.from({ length: 64 }, (_, i) => channel.send(i))
  const other = new AbortController()
  const late = new Thing(t)
  const failedToo = assert.rejects(channel.send('late', [late], { signal: other.signal }), { name: 'AbortError' })
  await peer.heard(FrameType.offer, 64)
  other.abort()
  await failedToo
  await late.assertRestored()
  await turns()
  peer.read()
  assert.deepEqual([peer.of(FrameType.offer).length, peer.of(FrameType.withdraw).length], [64, 0])
  channel.close()
  for (const send of sends) await assert.rejects(send, { code: 'ERR_HANDOVER_CLOSED' })
})

test('an abort that the claim has overtaken does nothing: send resolves', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const controller = new AbortController()
  const thing = new Thing(t)
  const send = left.send('it', [thing], { signal: controller.signal })
  const delivery = await right.receive()
  controller.abort() // the claim may be unread here still: the withdrawal comes too late
  await send
  await thing.assertClaimed(delivery?.things[0] as ArrivedThing)
})

test('an aborted signal sends nothing, and the thing is as before', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const thing = new Thing(t)
  await assert.rejects(left.send('it', [thing], { signal: AbortSignal.abort() }), { name: 'AbortError' })
  await turns()
  assert.equal(right.waiting, 0)
  if (thing.outcomes.length === 0) thing.settle('restored') // it was not even released
  await thing.assertRestored()
})

test('a message that is too large, or no JSON, is not sent, and the things are as before', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const head = (text: string): number => 12 + Buffer.byteLength(JSON.stringify({ message: text, things: [] }))
  const most = 'x'.repeat(OFFER_BYTES_MAX - head(''))
  const circle: unknown[] = []
  circle.push(circle)
  for (const [message, name] of [
    [`${most}x`, 'RangeError'],
    [circle, 'TypeError'],
    [5n, 'TypeError'],
  ] as const) {
    const thing = new Thing(t)
    await assert.rejects(left.send(message, [thing]), { name })
    await thing.assertRestored()
  }
  const sent = left.send(most)
  assert.equal((await right.receive())?.message, most, 'and one byte less is')
  await sent
})

test('what cannot go together is as before: too many descriptors, no thing, one listed twice', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const many = [new Thing(t, { count: 200 }), new Thing(t, { count: 54 })]
  await assert.rejects(left.send('254', many), {
    name: 'RangeError',
    message: /at most 253 descriptors in one send, not 254/,
  })
  for (const thing of many) await thing.assertRestored()
  const thing = new Thing(t)
  await assert.rejects(left.send('none', [thing, { no: 'thing' }]), { name: 'TypeError', message: /^things\[1\]: / })
  await assert.rejects(left.send('twice', [thing, thing]), { name: 'TypeError' })
  assert.deepEqual(thing.outcomes, [], 'it was not touched')
  const just = new Thing(t, { count: 252 })
  const sent = left.send('253', [thing, just])
  const delivery = await right.receive()
  await sent
  for (const [i, one] of [thing, just].entries()) await one.assertClaimed(delivery?.things[i] as ArrivedThing)
})
