/** A channel that comes to a new end after it lost the old one. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test, { type TestContext } from 'node:test'
import { Channel } from '../../src/channel/channel.js'
import { type End, endCredentials } from '../../src/channel/end.js'
import type { Delivery } from '../../src/channel/options.js'
import { OFFERS_UNSETTLED_MAX } from '../../src/limits.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { FrameType } from '../../src/wire/frame.js'
import { noLeak } from '../support/descriptors.js'
import { hello } from '../support/links.js'
import { type ArrivedThing, channelOf, offerFrame, RawPeer, Thing, turns } from '../support/things.js'
import { until } from '../support/wait.js'

const endOf = (descriptor: number): End => ({ descriptor, credentials: endCredentials(descriptor) })

/** A channel, its first peer, and what gives it the next end or ends its hope. */
function reconnecting(t: TestContext): {
  channel: Channel
  peer: RawPeer
  give(end: End): void
  giveUp(error: Error): void
} {
  const [own, socket] = socketpair()
  let give = (_: End): void => {}
  let giveUp = (_: Error): void => {}
  const channel = new Channel(endOf(own), {}, (signal) => {
    return new Promise((resolve, reject) => {
      give = resolve
      giveUp = reject
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  })
  const peer = new RawPeer(socket)
  t.after(() => {
    channel.close()
    peer.end()
  })
  return { channel, peer, give: (end) => give(end), giveUp: (error) => giveUp(error) }
}

test('what was with the lost peer is as before; what waits, and who waits, goes on with the next', async (t) => {
  noLeak(t)
  const { channel, peer, give } = reconnecting(t)
  const receiving = channel.receive()
  const events: string[] = []
  for (const name of ['connected', 'disconnected', 'close'] as const) channel.on(name, () => events.push(name))
  peer.say(hello)
  await channel.opened
  const things = Array.from({ length: OFFERS_UNSETTLED_MAX + 2 }, () => new Thing(t))
  const sends = things.map((thing, i) => channel.send(i, [thing]))
  const failures = sends
    .slice(0, OFFERS_UNSETTLED_MAX)
    .map((send) => assert.rejects(send, { code: 'ERR_HANDOVER_PEER_GONE' }))
  await peer.heard(FrameType.offer, OFFERS_UNSETTLED_MAX)
  peer.end()
  await Promise.all(failures)
  for (const thing of things.slice(0, OFFERS_UNSETTLED_MAX)) await thing.assertRestored()
  assert.deepEqual([channel.pending, channel.closed], [2, false])
  const [own, other] = socketpair()
  const next = channelOf(other)
  t.after(() => next.close())
  give(endOf(own))
  for (const i of [OFFERS_UNSETTLED_MAX, OFFERS_UNSETTLED_MAX + 1]) {
    const delivery = (await next.receive()) as Delivery
    assert.equal(delivery.message, i)
    await sends[i]
    await things[i]?.assertClaimed(delivery.things[0] as ArrivedThing)
  }
  await next.send('to who waited before')
  assert.equal((await receiving)?.message, 'to who waited before')
  assert.deepEqual(events, ['connected', 'disconnected', 'connected'])
})

test('what arrived and was not taken goes with the lost peer, and is not taken afterwards', async (t) => {
  noLeak(t)
  const { channel, peer, give } = reconnecting(t)
  peer.say(hello)
  await channel.opened
  const thing = new Thing(t)
  const [descriptor] = thing.descriptors as [number]
  peer.say(offerFrame(0, [descriptor], { message: 'old' }), [descriptor])
  while (channel.waiting === 0) await turns(1)
  const lost = once(channel, 'disconnected')
  peer.end()
  await lost
  assert.equal(channel.waiting, 0)
  thing.settle('restored')
  await thing.assertRestored()
  const [own, other] = socketpair()
  const next = channelOf(other)
  t.after(() => next.close())
  give(endOf(own))
  const sent = next.send('new')
  assert.equal((await channel.receive())?.message, 'new')
  await sent
})

test('a reconnection that comes to an end after the channel was closed closes that end', async (t) => {
  noLeak(t)
  const [own, socket] = socketpair()
  const peer = new RawPeer(socket)
  let give = (_: End): void => {}
  const channel = new Channel(
    endOf(own),
    {},
    () =>
      new Promise((resolve) => {
        give = resolve // heedless of the signal
      }),
  )
  const lost = once(channel, 'disconnected')
  peer.end()
  await lost
  channel.close()
  const [late, other] = socketpair()
  give(endOf(late))
  const rest = new RawPeer(other)
  t.after(() => rest.end())
  await until('that end is closed', () => rest.read())
})

test('a reconnection that is given up ends all that waits, with the reason; so does closing', async (t) => {
  noLeak(t)
  for (const closes of [false, true]) {
    const { channel, peer, giveUp } = reconnecting(t)
    peer.say(hello)
    await channel.opened
    const lost = once(channel, 'disconnected')
    peer.end()
    await lost
    const thing = new Thing(t)
    const failed = assert.rejects(
      channel.send('it', [thing]),
      closes ? { code: 'ERR_HANDOVER_CLOSED' } : { message: 'enough' },
    )
    const receiving = channel.receive()
    const ended = closes ? receiving : assert.rejects(receiving, { message: 'enough' })
    if (closes) channel.close()
    else giveUp(new Error('enough'))
    await failed
    assert.equal((await ended) ?? null, null)
    await thing.assertRestored()
  }
})
