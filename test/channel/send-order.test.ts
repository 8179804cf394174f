/** What is sent first is taken first, and what does not go holds nobody up. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { OFFERS_WAITING_MAX } from '../../src/limits.js'
import { encodeFrame, FrameType } from '../../src/wire/frame.js'
import { ownHello } from '../../src/wire/hello.js'
import { noLeak } from '../support/descriptors.js'
import { type ArrivedThing, channelAndSocket, channelPair, Thing, turns } from '../support/things.js'

function gate(): { open: () => void; fail: (error: unknown) => void; promise: Promise<void> } {
  let open = (): void => {}
  let fail = (_: unknown): void => {}
  const promise = new Promise<void>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { open, fail, promise }
}

test('what is sent first is taken first, even if its thing is released last', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const slow = gate()
  const things = [new Thing(t, { released: slow.promise }), new Thing(t), new Thing(t)]
  const sends = things.map((thing, i) => left.send(i, [thing]))
  const taken = [0, 1, 2].map(() => right.receive())
  await turns()
  assert.equal(right.waiting, 0, 'nothing overtakes')
  slow.open()
  const arrived = await Promise.all(taken)
  assert.deepEqual(
    arrived.map((delivery) => delivery?.message),
    [0, 1, 2],
  )
  await Promise.all(sends)
  for (const [i, thing] of things.entries()) await thing.assertClaimed(arrived[i]?.things[0] as ArrivedThing)
})

for (const [why, act] of [
  ['is aborted before its thing is released', 'abort'],
  ['cannot leave after all', 'fail'],
  ['is too large', 'large'],
] as const) {
  test(`a send that ${why} does not hold up those behind it`, { timeout: 30_000 }, async (t) => {
    noLeak(t)
    const [left, right] = await channelPair(t)
    const slow = gate()
    const controller = new AbortController()
    const first = new Thing(t, { released: slow.promise })
    const message = act === 'large' ? 'x'.repeat(9 * 1024 * 1024) : 'first'
    const failed = assert.rejects(left.send(message, [first], { signal: controller.signal }))
    const second = left.send('second')
    if (act === 'abort') controller.abort()
    else if (act === 'fail') slow.fail(new Error('cannot leave'))
    else slow.open()
    const delivery = await right.receive()
    assert.equal(delivery?.message, 'second')
    await second
    slow.open()
    await failed
    if (act === 'fail') return first.settle('claimed') // its release failed: nobody settles it
    await turns()
    await first.assertRestored()
  })
}

test('a send that leaves the window makes room for those behind it', { timeout: 30_000 }, async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const controller = new AbortController()
  const things = [new Thing(t, { count: 253 }), new Thing(t, { count: 200 }), new Thing(t, { count: 100 })]
  const [one, two] = things.slice(0, 2).map((thing, i) => left.send(i, [thing]))
  const third = left.send(2, [things[2]], { signal: controller.signal }) // 553 are over 512
  const fourth = left.send(3)
  await turns()
  assert.equal(right.waiting, 2)
  controller.abort()
  await assert.rejects(third, { name: 'AbortError' })
  await turns()
  assert.equal(right.waiting, 3, 'the fourth came')
  const arrived = [await right.receive(), await right.receive(), await right.receive()]
  await Promise.all([one, two, fourth])
  for (const i of [0, 1]) await things[i]?.assertClaimed(arrived[i]?.things[0] as ArrivedThing)
  await things[2]?.assertRestored()
})

for (const options of [
  { timeout: -1 },
  { timeout: 'soon' as unknown as number },
  { signal: 5 as unknown as AbortSignal },
]) {
  test(`a wrong option, ${JSON.stringify(options)}, sends nothing and holds nobody up`, {
    timeout: 30_000,
  }, async (t) => {
    noLeak(t)
    const [left, right] = await channelPair(t)
    const thing = new Thing(t)
    await assert.rejects(left.send('wrong', [thing], options), (error) =>
      /^(Type|Range)Error$/.test((error as Error).name),
    )
    assert.equal(left.pending, 0)
    assert.ok(!thing.outcomes.includes('claimed'))
    const sent = left.send('right')
    assert.equal((await right.receive())?.message, 'right')
    await sent
    thing.assertUsable()
    thing.settle('claimed')
  })
}

test('a receive with a wrong option takes nothing', { timeout: 30_000 }, async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  await assert.rejects(right.receive({ signal: 5 as unknown as AbortSignal }), TypeError)
  const thing = new Thing(t)
  const sent = left.send('it', [thing])
  const delivery = await right.receive()
  assert.equal(delivery?.message, 'it')
  await sent
  await thing.assertClaimed(delivery?.things[0] as ArrivedThing)
})

test('a receive whose signal is aborted already takes nothing', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const thing = new Thing(t)
  const sent = left.send('it', [thing])
  await turns()
  assert.equal(right.waiting, 1)
  await assert.rejects(right.receive({ signal: AbortSignal.abort(new Error('mine')) }), { message: 'mine' })
  const delivery = await right.receive()
  await sent
  await thing.assertClaimed(delivery?.things[0] as ArrivedThing)
})

test('a receive that is done no longer listens to its signal', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const { signal } = new AbortController()
  let listening = 0
  for (const name of ['addEventListener', 'removeEventListener'] as const) {
    const own = signal[name].bind(signal) as (...args: unknown[]) => void
    Object.assign(signal, {
      [name]: (...args: unknown[]) => {
        listening += name === 'addEventListener' ? 1 : -1
        own(...args)
      },
    })
  }
  const sent = [left.send(1), left.send(2)]
  await turns()
  assert.equal(right.waiting, 2, 'both are there before they are asked for')
  await right.receive({ signal })
  await right.receive({ signal })
  await Promise.all(sent)
  const third = right.receive({ signal })
  await left.send(3)
  await third
  assert.equal(listening, 0)
})

test('a send to a peer that takes no offers fails, however late it is called', { timeout: 30_000 }, async (t) => {
  noLeak(t)
  const { channel, peer } = channelAndSocket(t)
  const early = new Thing(t)
  const failed = assert.rejects(channel.send(1, [early]), { code: 'ERR_HANDOVER_UNSUPPORTED' })
  const { window: _, ...rest } = ownHello()
  peer.say(encodeFrame(FrameType.hello, Buffer.from(JSON.stringify({ ...rest, capabilities: ['transports'] }))))
  await failed
  await early.assertRestored()
  const late = new Thing(t)
  await assert.rejects(channel.send(2, [late]), { code: 'ERR_HANDOVER_UNSUPPORTED' })
  assert.deepEqual([late.outcomes.includes('claimed'), channel.pending], [false, 0])
  late.settle('claimed')
})

test('more sends than may wait fail at once, and touch nothing', async (t) => {
  noLeak(t)
  const { channel } = channelAndSocket(t)
  const waiting = Array.from({ length: OFFERS_WAITING_MAX }, (_, i) => channel.send(i))
  const thing = new Thing(t)
  await assert.rejects(channel.send('one more', [thing]), { code: 'ERR_HANDOVER_OUTBOX_FULL' })
  assert.deepEqual(thing.outcomes, [])
  thing.settle('claimed')
  channel.close()
  for (const send of waiting) await assert.rejects(send, { code: 'ERR_HANDOVER_CLOSED' })
})

test('a send that is aborted while its thing is released rejects once the thing is as before', async (t) => {
  noLeak(t)
  const [left] = await channelPair(t)
  const slow = gate()
  const thing = new Thing(t, { released: slow.promise })
  const controller = new AbortController()
  const send = left.send('it', [thing], { signal: controller.signal })
  const outcomes = send.then(
    () => ['taken'],
    () => [...thing.outcomes],
  )
  controller.abort()
  await turns()
  slow.open()
  assert.deepEqual(await outcomes, ['restored'])
  await thing.assertRestored()
})
