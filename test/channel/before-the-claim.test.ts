/** What cannot be made of what arrived, or not yet, is known before the claim; and what goes wrong here stays here. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { registerKind } from '../../src/channel/kinds.js'
import type { Delivery } from '../../src/channel/options.js'
import { close } from '../../src/syscalls/descriptor.js'
import { identify } from '../../src/syscalls/identity.js'
import { registerBuiltinKinds } from '../../src/transport/builtin-kinds.js'
import { FrameType } from '../../src/wire/frame.js'
import { encodeOffer, Outcome } from '../../src/wire/offer.js'
import { noLeak } from '../support/descriptors.js'
import { traced } from '../support/links.js'
import { channelAndSocket, channelPair, turns } from '../support/things.js'
import { uncaught } from '../support/uncaught.js'
import { until } from '../support/wait.js'

registerBuiltinKinds()

/** A kind of descriptors that does as it is told. */
class Odd {
  readonly fd: number
  readonly outcomes: string[] = []
  constructor(fd: number) {
    this.fd = fd
  }
}
const told = { why: null as string | null, ready: null as Promise<void> | null, throws: false, prepared: 0 }
registerKind<Odd>({
  name: 'odd',
  is: (thing) => thing instanceof Odd,
  release: (thing) => {
    const end = (outcome: string): void => {
      thing.outcomes.push(outcome)
      if (outcome === 'claimed') close(thing.fd)
      if (told.throws) throw new Error(`thrown when ${outcome}`)
    }
    return { descriptors: [thing.fd], claimed: () => end('claimed'), restored: () => end('restored') }
  },
  prepare: async () => {
    told.prepared += 1
    await told.ready
  },
  objection: () => told.why,
  adopt: ({ descriptors }) => new Odd(descriptors[0] as number),
})

function closeOdd(delivery: Delivery | null): void {
  assert.ok(delivery !== null)
  close((delivery.things[0] as Odd).fd)
}

test('an offer is claimed when its kinds are prepared, and each is prepared once', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  let ready = (): void => {}
  told.ready = new Promise((resolve) => {
    ready = resolve
  })
  const things = [traced(), traced()]
  const sends = things.map(({ descriptor }) => left.send(1, [new Odd(descriptor)]))
  const receiving = [right.receive(), right.receive()]
  await until('both are there', () => right.waiting === 2)
  await turns(5)
  assert.equal(left.pending, 2, 'nothing is claimed yet')
  ready()
  await Promise.all(sends)
  for (const delivery of await Promise.all(receiving)) closeOdd(delivery)
  assert.equal(told.prepared, 1)
  for (const { watch } of things) close(watch)
})

test('a kind that objects sends the thing back, and the channel lives', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const { descriptor, watch, isGone } = traced()
  const thing = new Odd(descriptor)
  told.why = 'it smells \u001b[31m'
  t.after(() => {
    told.why = null
  })
  const refused = once(right, 'refused')
  await assert.rejects(left.send(1, [thing]), (error: Error) => {
    assert.equal((error as { code?: string }).code, 'ERR_HANDOVER_REFUSED')
    assert.match(error.message, /things\[0\]: it smells \\u(001b|\{1b\})\[31m$/)
    return true
  })
  await refused
  assert.deepEqual(thing.outcomes, ['restored'])
  assert.ok(!isGone())
  await Promise.all([left.send('after'), right.receive()])
  close(descriptor)
  close(watch)
})

test('a kind that throws when it is settled harms no other send', async (t) => {
  noLeak(t)
  const thrown = uncaught(t)
  const [left, right] = await channelPair(t)
  told.throws = true
  t.after(() => {
    told.throws = false
  })
  const things = [traced(), traced()]
  const sends = things.map(({ descriptor }) => left.send(1, [new Odd(descriptor)]))
  for (let i = 0; i < 2; i++) closeOdd(await right.receive())
  await Promise.all(sends)
  assert.ok(things.every((thing) => thing.isGone()))
  await turns()
  assert.deepEqual(thrown.map(String), ['Error: thrown when claimed', 'Error: thrown when claimed'])
  for (const { watch } of things) close(watch)
})

test('a large send and answers at the same time: both arrive', async (t) => {
  const [left, right] = await channelPair(t)
  const large = 'x'.repeat(7 * 1024 * 1024)
  const there = left.send(large)
  const back = Array.from({ length: 20 }, (_, i) => right.send(i))
  for (let i = 0; i < 20; i++) assert.equal((await left.receive())?.message, i)
  assert.equal((await right.receive())?.message, large)
  await Promise.all([there, ...back])
})

for (const [what, details, bytes] of [
  ['no details', undefined, 0],
  ['a type that is none', { type: 'sctp' }, 0],
  ['a type of another family', { type: 'tcp' }, 0],
  ['bytes for one that is not to be read', { type: 'unix', noRead: true }, 5],
] as const) {
  test(`a connection with ${what} is refused, not lost`, async (t) => {
    noLeak(t)
    const { channel, peer, greet } = channelAndSocket(t)
    await greet()
    const { descriptor, watch } = traced()
    channel.on('refused', () => {})
    const receiving = channel.receive()
    const thing = {
      kind: 'connection',
      ids: [identify(descriptor)],
      ...(details && { details }),
      ...(bytes > 0 && { bytes }),
    }
    peer.say(encodeOffer(0, { things: [thing] }, bytes > 0 ? [Buffer.alloc(bytes)] : [], 1).last, [descriptor])
    await peer.heard(FrameType.verdict)
    assert.deepEqual(
      peer.verdicts.map(([, outcome]) => outcome),
      [Outcome.refused],
    )
    channel.close()
    assert.equal(await receiving, null)
    close(descriptor)
    close(watch)
  })
}

test('wrong arguments of send are named, and nothing is sent', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  const socket = new net.Socket()
  const circle: unknown[] = []
  circle.push(circle)
  for (const [call, message] of [
    [
      () => left.send('m', socket as never),
      /^TypeError: things: a list of things, not an object \(Socket\): write \[thing\]$/,
    ],
    [() => left.send('m', 'abc' as never), /^TypeError: things: a list of things/],
    [() => left.send(1n), /^TypeError: message: any JSON: /],
    [() => left.send(circle), /^TypeError: message: any JSON: /],
    [() => left.send(() => 1), /^TypeError: message: any JSON: a function is none$/],
    [() => left.send(1, [], 5 as never), /^TypeError: options: an object, not 5$/],
    [() => left.send(1, [], { timeOut: 5 } as never), /^TypeError: timeOut: no such option; there are timeout, /],
    [() => left.send(1, [], { signal: 5 as never }), /^TypeError: signal: an AbortSignal, not 5$/],
    [() => left.send(1, [], { flushTimeout: Number.NaN }), /^RangeError: flushTimeout: /],
    [() => left.send(1, [9999]), /^SyscallError: things\[0\]: EBADF: /],
    [() => left.receive({ timeOut: 5 } as never), /^TypeError: timeOut: no such option/],
  ] as const) {
    await assert.rejects(call(), (error) => {
      assert.match(String(error), message)
      return true
    })
  }
  assert.equal(left.pending, 0)
  assert.equal(right.waiting, 0)
})
