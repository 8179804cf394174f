/** Messages and things between two channels, both ways. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test from 'node:test'
import { FRAME_PAYLOAD_MAX, OFFERED_DESCRIPTORS_MAX, OFFERS_UNSETTLED_MAX } from '../../src/limits.js'
import { close, dup } from '../../src/syscalls/descriptor.js'
import { FrameType } from '../../src/wire/frame.js'
import { encodeVerdict, Outcome } from '../../src/wire/offer.js'
import { isCloseOnExec, noLeak, openDescriptors } from '../support/descriptors.js'
import { type ArrivedThing, channelAndSocket, channelPair, offerFrame, Thing, turns } from '../support/things.js'
import { until } from '../support/wait.js'

test('send resolves when it was taken, not when it arrived', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const thing = new Thing(t)
  let resolved = false
  const send = left.send('it', [thing]).then(() => {
    resolved = true
  })
  await until('it arrived', () => right.waiting === 1)
  await turns(5)
  assert.deepEqual([resolved, thing.outcomes, left.pending], [false, [], 1])
  const delivery = await right.receive()
  await send
  assert.deepEqual([left.pending, right.waiting], [0, 0])
  await thing.assertClaimed(delivery?.things[0] as ArrivedThing)
})

test('messages go without things, whatever JSON they are', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  for (const message of [undefined, null, 0, '', [], { a: [1, 'ü', null] }]) {
    const sent = left.send(message)
    assert.deepEqual(await right.receive(), { message, things: [] })
    await sent
  }
})

test('several things arrive in order, each with all that is its own, close-on-exec', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const things = [0, 1, 2, 3].map(
    (i) =>
      new Thing(t, {
        count: 1 + i,
        details: { i },
        ...(i === 1 ? {} : { bytes: randomBytes(i * FRAME_PAYLOAD_MAX + i) }),
      }),
  )
  const sent = left.send('them', things)
  const delivery = await right.receive()
  await sent
  for (const [i, thing] of things.entries()) {
    const arrived = delivery?.things[i] as ArrivedThing
    assert.deepEqual(arrived.details, { i })
    assert.deepEqual(arrived.bytes, Buffer.from(thing.options.bytes ?? []))
    assert.ok(arrived.descriptors.length === 1 + i && arrived.descriptors.every(isCloseOnExec))
    await thing.assertClaimed(arrived)
  }
})

test('messages of every size around a frame’s arrive whole, among others', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const sizes = [-70, -40, -39, -38, -37, 0, 1, FRAME_PAYLOAD_MAX - 1, FRAME_PAYLOAD_MAX, 3 * FRAME_PAYLOAD_MAX + 7]
  const texts = sizes.map((size, i) => String(i).padEnd(FRAME_PAYLOAD_MAX + size, 'é'))
  const sent = texts.flatMap((text) => [left.send(text), left.send('between')])
  for (const text of texts) {
    assert.equal((await right.receive())?.message, text)
    assert.equal((await right.receive())?.message, 'between')
  }
  await Promise.all(sent)
})

test('a loop over the channel ends with it; leaving the loop leaves the channel open', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const sent = [1, 2, 3].map((i) => left.send(i))
  const got: unknown[] = []
  for await (const { message } of right) if (got.push(message) === 2) break
  assert.ok(!right.closed)
  for await (const { message } of right) {
    got.push(message)
    left.close()
  }
  await Promise.allSettled(sent)
  assert.deepEqual([got, right.closed], [[1, 2, 3], true])
})

test('who waits first is served first, and one who stops waiting costs nothing', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const controller = new AbortController()
  const waiting = [right.receive(), right.receive({ signal: controller.signal }), right.receive()]
  const failed = assert.rejects(waiting[1] as Promise<unknown>, { message: 'enough' })
  controller.abort(new Error('enough'))
  await failed
  await Promise.all([left.send('first'), left.send('second')])
  assert.deepEqual([(await waiting[0])?.message, (await waiting[2])?.message], ['first', 'second'])
})

test('at the end receive gives null, now and ever; an error is told once', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const two = [right.receive(), right.receive()]
  left.close()
  left.close()
  assert.deepEqual([await two[0], await two[1], await right.receive(), await left.receive()], [null, null, null, null])
  await assert.rejects(left.send('late'), { code: 'ERR_HANDOVER_CLOSED' })
  const { channel, peer, greet } = channelAndSocket(t)
  const ends: unknown[] = []
  channel.on('close', (error) => ends.push((error as { code?: string } | null)?.code))
  await greet()
  const waits = [channel.receive(), channel.receive()]
  const told = assert.rejects(waits[0] as Promise<unknown>, { code: 'ERR_HANDOVER_BAD_FRAME' })
  peer.say(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  await told
  assert.deepEqual([await waits[1], await channel.receive(), ends], [null, null, ['ERR_HANDOVER_BAD_FRAME']])
})

test('a receiver that takes nothing holds no more than the window; the sender keeps the others', async (t) => {
  noLeak(t)
  for (const [count, most] of [
    [1, OFFERS_UNSETTLED_MAX],
    [100, Math.floor(OFFERED_DESCRIPTORS_MAX / 100)],
  ] as const) {
    const [left, right] = await channelPair(t)
    const things = Array.from({ length: most + 3 }, () => new Thing(t, { count }))
    const sends = things.map((thing, i) => left.send(i, [thing]))
    await until('the window is full', () => right.waiting >= most)
    await turns(5)
    assert.equal(right.waiting, most)
    for (const [i, thing] of things.entries()) {
      const delivery = await right.receive()
      assert.equal(delivery?.message, i)
      await sends[i]
      await thing.assertClaimed(delivery?.things[0] as ArrivedThing)
    }
    left.close()
  }
})

test('a peer that sends more than the window is cut off, and nothing it sent is left open', async (t) => {
  noLeak(t)
  for (const [count, most] of [
    [1, OFFERS_UNSETTLED_MAX],
    [200, 2],
  ] as const) {
    const { channel, peer, greet } = channelAndSocket(t)
    await greet()
    const thing = new Thing(t, { count })
    const copies = thing.descriptors
    for (let i = 0; i < most; i++) peer.say(offerFrame(i, copies), copies)
    await until('all are there', () => channel.waiting === most)
    peer.say(offerFrame(most, copies), copies)
    await until('it is cut off', () => channel.closed)
    await assert.rejects(channel.receive(), { code: 'ERR_HANDOVER_BAD_FRAME' })
    thing.settle('claimed')
    await until('nothing is left open', () => thing.isGone)
  }
})

test('two sides that both send before they receive do not wait for each other', async (t) => {
  noLeak(t)
  const pair = await channelPair(t)
  const text = 'x'.repeat(100_000)
  const sends = pair.flatMap((channel) => Array.from({ length: 200 }, (_, i) => channel.send([i, text])))
  for (let i = 0; i < 200; i++)
    for (const channel of pair) assert.deepEqual((await channel.receive())?.message, [i, text])
  await Promise.all(sends)
})

test('numbers that their owner closes, and the system uses again, never send another file', async (t) => {
  noLeak(t)
  for (const when of ['before the hello', 'behind the window'] as const) {
    const { channel, peer, greet } = channelAndSocket(t)
    if (when === 'behind the window') {
      await greet()
      for (let i = 0; i < OFFERS_UNSETTLED_MAX; i++) channel.send(i).catch(() => {})
    }
    const thing = new Thing(t)
    const [number] = thing.descriptors as [number]
    const link = openDescriptors().get(number)
    const send = channel.send('it', [thing])
    thing.settle('claimed') // closes the number, as an owner might who is in a hurry
    const stranger = dup(2)
    assert.equal(stranger, number, 'the number is another’s now')
    if (when === 'before the hello') await greet()
    else {
      await peer.heard(FrameType.offer, OFFERS_UNSETTLED_MAX)
      peer.say(encodeVerdict(0, Outcome.claimed))
    }
    await until('it comes', () => peer.read() || peer.descriptors.length > 0)
    assert.deepEqual(
      peer.descriptors.map((descriptor) => openDescriptors().get(descriptor)),
      [link],
    )
    const failed = assert.rejects(send)
    channel.close()
    await failed
    close(stranger)
    peer.end()
  }
})
