/** Peers that do not keep to the protocol of offers: a clear end, and nothing left open. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { FRAME_PAYLOAD_MAX, OFFER_BYTES_MAX } from '../../src/limits.js'
import { close } from '../../src/syscalls/descriptor.js'
import { identify } from '../../src/syscalls/identity.js'
import { encodeCount, encodeFrame, encodeHeader, FrameType } from '../../src/wire/frame.js'
import { ownHello } from '../../src/wire/hello.js'
import { encodeOffer, encodeVerdict, encodeWithdrawal, Outcome } from '../../src/wire/offer.js'
import { noLeak } from '../support/descriptors.js'
import { hello, traced } from '../support/links.js'
import { type ArrivedThing, channelAndSocket, offerFrame, type RawPeer, Thing, turns } from '../support/things.js'
import { until } from '../support/wait.js'

/** An offer of any JSON, with any bytes behind it. */
function crafted(
  number: number,
  json: string,
  { count = 0, bytes = '', length = Buffer.byteLength(json) } = {},
): Buffer {
  const prefix = Buffer.alloc(12)
  prefix.writeUInt32LE(length, encodeCount(prefix, 0, number))
  const payload = Buffer.concat([prefix, Buffer.from(json), Buffer.from(bytes)])
  const header = Buffer.alloc(8)
  encodeHeader(header, 0, FrameType.offer, payload.length, count)
  return Buffer.concat([header, payload])
}

const part = (length: number): Buffer => encodeFrame(FrameType.part, Buffer.alloc(length, ' '))
const own = (fd: number): string => identify(fd)
const helloWith = (fields: object): Buffer =>
  encodeFrame(FrameType.hello, Buffer.from(JSON.stringify({ ...ownHello(), ...fields })))

/** What the peer says, with one descriptor `fd` where it says so by an array. Said behind its hello unless `first`. */
type Said = Buffer | [Buffer]
interface Row {
  code?: string
  first?: true
  says(fd: number): Said[]
}

const broken: Record<string, Row> = {
  'answers an offer that was never made': { says: () => [encodeVerdict(7, Outcome.claimed)] },
  'answers an offer twice': {
    says: () => [encodeVerdict(0, Outcome.refused, 'no'), encodeVerdict(0, Outcome.claimed)],
  },
  'answers with an outcome nobody knows': { says: () => [encodeVerdict(0, 3 as Outcome)] },
  'answers with too few bytes': { says: () => [encodeFrame(FrameType.verdict, Buffer.alloc(8))] },
  'withdraws with too many bytes': { says: () => [encodeFrame(FrameType.withdraw, Buffer.alloc(9))] },
  'repeats the number of an offer': { says: (fd) => [[offerFrame(4, [fd])], [offerFrame(4, [fd])]] },
  'counts offers backwards': { says: (fd) => [[offerFrame(4, [fd])], [offerFrame(3, [fd])]] },
  'numbers an offer beyond 2^53': { says: () => [crafted(2 ** 53 + 2, '{"things":[]}')] },
  'sends a part that is too small': { says: () => [part(FRAME_PAYLOAD_MAX - 1)] },
  'sends more parts than an offer may have': {
    says: () => Array.from({ length: OFFER_BYTES_MAX / FRAME_PAYLOAD_MAX + 1 }, () => part(FRAME_PAYLOAD_MAX)),
  },
  'sends an offer of one byte more than the limit': {
    says: () => {
      const parts = Array.from({ length: OFFER_BYTES_MAX / FRAME_PAYLOAD_MAX }, () => part(FRAME_PAYLOAD_MAX))
      const json = '{"things":[]}'.padEnd(FRAME_PAYLOAD_MAX - 12)
      const start = crafted(0, json, { length: OFFER_BYTES_MAX + 1 - 12 }).subarray(8)
      return [encodeFrame(FrameType.part, start), ...parts.slice(1), encodeFrame(FrameType.offer, Buffer.from(' '))]
    },
  },
  'sends an offer without a head': { says: () => [encodeFrame(FrameType.offer, Buffer.alloc(11))] },
  'announces more JSON than there is': { says: () => [crafted(0, '{"things":[]}', { length: 99 })] },
  'sends a head that is not JSON': { says: () => [[crafted(0, '{"things":[', { count: 1 })]] },
  'sends a head that is null': { says: () => [crafted(0, 'null')] },
  'sends things that are no list': { says: () => [crafted(0, '{"things":{"length":0}}')] },
  'sends a thing that is null': { says: () => [crafted(0, '{"things":[null]}')] },
  'sends a thing without a kind': { says: (fd) => [[crafted(0, `{"things":[{"ids":["${own(fd)}"]}]}`, { count: 1 })]] },
  'sends a thing whose bytes are negative': {
    says: () => [crafted(0, '{"things":[{"kind":"traced","ids":[],"bytes":-1}]}')],
  },
  'announces fewer bytes than there are': { says: () => [crafted(0, '{"things":[]}', { bytes: '!' })] },
  'announces more bytes than there are': {
    says: () => [crafted(0, '{"things":[{"kind":"traced","ids":[],"bytes":2}]}', { bytes: '!' })],
  },
  'announces fewer identities than descriptors': { says: () => [[crafted(0, '{"things":[]}', { count: 1 })]] },
  'announces more identities than descriptors': {
    says: (fd) => [[crafted(0, `{"things":[{"kind":"traced","ids":["${own(fd)}","${own(fd)}"]}]}`, { count: 1 })]],
  },
  'announces descriptors that do not come': {
    code: 'ERR_HANDOVER_DESCRIPTORS_MISSING',
    says: (fd) => [offerFrame(0, [fd])],
  },
  'sends descriptors that nothing announces': {
    code: 'ERR_HANDOVER_DESCRIPTORS_SURPLUS',
    says: () => [[crafted(0, '{"things":[]}')]],
  },
  'sends descriptors with a part': {
    code: 'ERR_HANDOVER_DESCRIPTORS_SURPLUS',
    says: () => [[part(FRAME_PAYLOAD_MAX)]],
  },
  'offers before its hello': { first: true, says: (fd) => [[offerFrame(0, [fd])]] },
  'has a window of nothing': { first: true, says: () => [helloWith({ window: { offers: 0, descriptors: 1 } })] },
  'speaks no version in common': {
    first: true,
    code: 'ERR_HANDOVER_VERSION',
    says: () => [helloWith({ version: 99, oldest: 98 })],
  },
}

/** Says it all, however much the socket takes at a time. */
async function sayAll(peer: RawPeer, said: Said[], fd: number, over: () => boolean): Promise<void> {
  for (const one of said) {
    if (Array.isArray(one)) {
      peer.say(one[0], [fd])
      continue
    }
    for (let at = 0; at < one.length && !over(); await turns(1)) at += Math.max(0, peer.pour(one.subarray(at)))
  }
}

for (const [rule, { code = 'ERR_HANDOVER_BAD_FRAME', first, says }] of Object.entries(broken)) {
  test(`a peer that ${rule} ends the channel, what it has is as before, and what it sent is closed`, async (t) => {
    noLeak(t)
    const { channel, peer } = channelAndSocket(t)
    const thing = new Thing(t)
    const failed = assert.rejects(channel.send('ours', [thing]))
    if (!first) {
      peer.say(hello)
      await peer.heard(FrameType.offer)
    }
    const { descriptor, watch, isGone } = traced()
    t.after(() => close(watch))
    await sayAll(peer, says(descriptor), descriptor, () => channel.closed)
    close(descriptor)
    await until('the channel ends', () => channel.closed)
    await assert.rejects(channel.receive(), { code })
    await failed
    await until('what it sent is closed', isGone)
    peer.end()
    await thing.assertRestored()
  })
}

test('a peer that offers what cannot be taken is told why, what it sent is closed, and the channel lives', async (t) => {
  noLeak(t)
  const { channel, peer, greet } = channelAndSocket(t)
  const refusals: string[] = []
  channel.on('refused', ({ code }) => refusals.push(code))
  await greet()
  const [one, other] = [traced(), traced()]
  t.after(() => {
    for (const { watch } of [one, other]) close(watch)
  })
  const { descriptor } = one
  peer.say(offerFrame(0, [descriptor], { ids: [identify(other.descriptor)] }), [descriptor])
  peer.say(offerFrame(1, [descriptor], { ids: ['nonsense'] }), [descriptor])
  peer.say(offerFrame(2, [descriptor], { kind: 'toString' }), [descriptor])
  peer.say(offerFrame(3, [descriptor], { kind: '__proto__' }), [descriptor])
  await peer.heard(FrameType.verdict, 4)
  assert.deepEqual(refusals, [
    'ERR_HANDOVER_IDENTITY',
    'ERR_HANDOVER_IDENTITY',
    'ERR_HANDOVER_UNSUPPORTED',
    'ERR_HANDOVER_UNSUPPORTED',
  ])
  assert.ok(
    peer.verdicts.every(([number, outcome, reason], i) => number === i && outcome === Outcome.refused && reason !== ''),
  )
  peer.say(offerFrame(4, [descriptor], { message: 'good' }), [descriptor])
  for (const end of [one, other]) close(end.descriptor)
  const delivery = await channel.receive()
  assert.equal(delivery?.message, 'good')
  assert.ok(!one.isGone() && other.isGone())
  for (const thing of delivery?.things ?? []) (thing as ArrivedThing).close()
  assert.ok(one.isGone(), 'there was one copy')
})

test('a peer that withdraws gets back what is not claimed, once', async (t) => {
  noLeak(t)
  const { channel, peer, greet } = channelAndSocket(t)
  await greet()
  const { descriptor, watch, isGone } = traced()
  t.after(() => close(watch))
  peer.say(offerFrame(0, [descriptor]), [descriptor])
  peer.say(Buffer.concat([encodeWithdrawal(0), encodeWithdrawal(0), encodeWithdrawal(1)]))
  close(descriptor)
  await peer.heard(FrameType.verdict)
  await turns()
  peer.read()
  assert.deepEqual(peer.verdicts, [[0, Outcome.returned, 'as asked']])
  assert.deepEqual([isGone(), channel.waiting, channel.closed], [true, 0, false])
})

test('a descriptor that comes in the middle of other offers belongs to its own', async (t) => {
  noLeak(t)
  const { channel, peer, greet } = channelAndSocket(t)
  await greet()
  const { descriptor, watch, isGone } = traced()
  t.after(() => close(watch))
  const [pre, with_, post] = [offerFrame(0), offerFrame(1, [descriptor]), offerFrame(2)]
  peer.say(pre)
  peer.say(with_.subarray(0, 11), [descriptor])
  peer.say(Buffer.concat([with_.subarray(11), post]))
  close(descriptor)
  const things = [await channel.receive(), await channel.receive(), await channel.receive()].map((one) => one?.things)
  assert.deepEqual(
    things.map((list) => list?.length),
    [0, 1, 0],
  )
  assert.ok(!isGone())
  for (const thing of things[1] ?? []) (thing as ArrivedThing).close()
  assert.ok(isGone())
})

test('what waits to be told to a peer that does not read is bounded', { timeout: 30_000 }, async (t) => {
  noLeak(t)
  const { channel, peer, greet } = channelAndSocket(t, { willing: () => 'no'.repeat(500) })
  await greet()
  let refusals = 0
  channel.on('refused', () => refusals++)
  const most = 20_000 // 20 MB of answers, where 1 MiB may wait
  let number = 0
  for (; number < most && !channel.closed; await turns(1)) {
    const { frames } = { frames: Array.from({ length: 100 }, () => encodeOffer(number++, { things: [] }, [], 0).last) }
    const bytes = Buffer.concat(frames)
    let idle = 0
    for (let at = 0; at < bytes.length && idle < 20 && !channel.closed; await turns(1)) {
      const sent = Math.max(0, peer.pour(bytes.subarray(at)))
      at += sent
      idle = sent > 0 ? 0 : idle + 1
    }
    if (idle === 20) break // it reads no more until we do
  }
  assert.ok(refusals < most / 2, `${refusals} answers wait for a peer that does not read`)
})
