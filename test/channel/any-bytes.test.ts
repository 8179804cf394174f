/** Whatever bytes and descriptors come behind the hello: no crash, nothing left open, everything settled. */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { close, closeMany } from '../../src/syscalls/descriptor.js'
import { identify } from '../../src/syscalls/identity.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { encodeFrame, encodeHeader, FrameType } from '../../src/wire/frame.js'
import { encodeOffer, encodeVerdict, encodeWithdrawal, type Outcome } from '../../src/wire/offer.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { hello, traced } from '../support/links.js'
import { type ArrivedThing, channelOf, RawPeer, Thing } from '../support/things.js'
import { until } from '../support/wait.js'

const number = fc.integer({ min: 0, max: 5 })
/** A row of frames, most of them right. `{fd}` in an identity stands for who the descriptor is. */
const frame = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc
    .record({
      type: fc.integer({ min: 0, max: 11 }),
      count: fc.integer({ min: 0, max: 2 }),
      payload: fc.uint8Array({ maxLength: 30 }),
    })
    .map(({ type, count, payload }) => {
      const header = Buffer.alloc(8)
      encodeHeader(header, 0, type as FrameType, payload.length, count)
      return Buffer.concat([header, payload])
    }),
  fc.tuple(number, fc.constantFrom(0, 1, 2)).map(([of, outcome]) => encodeVerdict(of, outcome as Outcome, 'because')),
  number.map(encodeWithdrawal),
  fc
    .jsonValue()
    .map((json) =>
      encodeFrame(FrameType.offer, Buffer.concat([prefix(JSON.stringify(json)), Buffer.from(JSON.stringify(json))])),
    ),
)
function prefix(json: string): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32LE(Buffer.byteLength(json), 8)
  return bytes
}
const offer = fc.record({
  number: fc.integer({ min: 0, max: 20 }),
  ids: fc.array(fc.constantFrom('right', 'wrong'), { maxLength: 3 }),
  kind: fc.constantFrom('traced', 'traced', 'nobody’s'),
  sent: fc.integer({ min: 0, max: 3 }),
  cut: fc.option(fc.integer({ min: 1, max: 60 }), { freq: 4 }),
})
const act = fc.oneof(frame, offer)
const plan = fc.record({
  acts: fc.array(act, { maxLength: 12 }),
  sends: fc.integer({ min: 0, max: 3 }),
  takes: fc.integer({ min: 0, max: 4 }),
  willing: fc.boolean(),
})

test('any bytes and descriptors behind the hello: no crash, no leak, each thing with one owner', {
  timeout: 55_000,
}, async (t) => {
  noLeak(t)
  const { descriptor, watch, isGone } = traced()
  const right = identify(descriptor)
  await fc.assert(
    fc.asyncProperty(plan, async ({ acts, sends, takes, willing }) => {
      const before = openDescriptors().size
      const hooks: (() => void)[] = []
      const [own, socket] = socketpair()
      const channel = channelOf(own, { willing: () => willing })
      const peer = new RawPeer(socket)
      const things = Array.from(
        { length: sends },
        () => new Thing({ after: (hook: () => void) => hooks.push(hook) } as never),
      )
      const outcomes = things.map((thing, i) =>
        channel.send(i, [thing]).then(
          () => 'claimed',
          () => 'restored',
        ),
      )
      const taken = Array.from({ length: takes }, () =>
        channel.receive().then(
          (delivery) => {
            for (const arrived of delivery?.things ?? []) (arrived as ArrivedThing).close()
          },
          () => {},
        ),
      )
      peer.say(hello)
      await channel.opened
      for (const one of acts) {
        const bytes = Buffer.isBuffer(one)
          ? one
          : encodeOffer(
              one.number,
              { things: [{ kind: one.kind, ids: one.ids.map((id) => (id === 'right' ? right : id)) }] },
              [],
              one.ids.length,
            ).last.subarray(0, one.cut ?? undefined)
        const sent = Buffer.isBuffer(one) ? 0 : one.sent
        if (channel.closed || bytes.length === 0) break
        peer.say(
          bytes,
          Array.from({ length: sent }, () => descriptor),
        )
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
      peer.read()
      peer.end()
      await until('the end', () => channel.closed)
      for (const [i, outcome] of (await Promise.all(outcomes)).entries()) {
        assert.deepEqual(things[i]?.outcomes, [outcome])
        if (outcome === 'restored') closeMany(Int32Array.from(things[i]?.descriptors ?? []))
      }
      await Promise.all(taken)
      assert.equal(channel.pending, 0)
      assert.equal(await channel.receive().catch(() => channel.receive()), null)
      for (const hook of hooks) hook()
      assert.equal(openDescriptors().size, before, 'nothing is left open')
    }),
    { numRuns: 400, interruptAfterTimeLimit: 40_000 },
  )
  close(descriptor)
  assert.ok(isGone())
  close(watch)
})
