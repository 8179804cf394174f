/** What the system refuses in the middle of an offer: nothing is lost, doubled or left open. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { Delivery } from '../../src/channel/options.js'
import { dispositionOf, errnoOf, systemHints } from '../../src/errors.js'
import { close } from '../../src/syscalls/descriptor.js'
import { pollReadable } from '../../src/syscalls/poll.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { HEADER_BYTES } from '../../src/wire/frame.js'
import { noLeak } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { type ArrivedThing, channelAndSocket, channelOf, channelPair, Thing, turns } from '../support/things.js'
import { until } from '../support/wait.js'

/** EPIPE and ECONNRESET come of a peer that has ended, and the end of the stream follows: ends.test.ts has them. */
const codes = systemHints.map(([key]) => key).filter((key) => !/ |EPIPE|ECONNRESET/.test(key))
const lives = (code: string): boolean => ['wait', 'retry', 'shed'].includes(dispositionOf(errnoOf(code)))

for (const [who, call] of [
  ['offer', 'sendmsg'],
  ['claim', 'sendmsg'],
  ['offer', 'recvmsg'],
  ['claim', 'recvmsg'],
] as const) {
  test(`whatever ${call} says of the ${who}, its thing has one owner; what passes is waited out`, async (t) => {
    noLeak(t)
    let failing: { socket: number; errno: number } | null = null
    const faulty = (real: (...args: never[]) => number, ...args: unknown[]): number => {
      if (failing === null || args[0] !== failing.socket) return real(...(args as never[]))
      const { errno } = failing
      failing = null
      return errno
    }
    fakeKernel(t, { [call]: faulty } as never)
    const wrong: string[] = []
    for (const code of codes) {
      const [a, b] = socketpair()
      const [left, right] = [channelOf(a), channelOf(b)]
      await Promise.all([left.opened, right.opened])
      const thing = new Thing(t)
      const taken: Promise<Delivery | null> = right.receive().catch(() => null)
      // The offer is sent by the left and read by the right side; its claim the other way round.
      const socket = (who === 'offer') === (call === 'sendmsg') ? a : b
      failing = { socket, errno: errnoOf(code) }
      const outcome = await left.send('it', [thing]).then(
        () => 'claimed',
        () => 'restored',
      )
      failing = null
      if (outcome === 'restored') right.close()
      const delivery = await taken
      const owners = Number(thing.outcomes.join() === 'restored') + Number(delivery !== null)
      if (owners !== 1 || thing.outcomes.length !== 1) wrong.push(`${code}: ${owners} owners after ${thing.outcomes}`)
      if (lives(code) && outcome !== 'claimed') wrong.push(`${code} is to be waited out`)
      for (const arrived of delivery?.things ?? []) (arrived as ArrivedThing).close()
      if (outcome === 'restored') thing.settle('claimed')
      left.close()
      right.close()
      await until('no copy is left', () => thing.isGone)
    }
    assert.deepEqual(wrong, [])
  })
}

test('an offer that is cut at any byte arrives whole, its descriptors once', async (t) => {
  noLeak(t)
  const ends = socketpair()
  const [a] = ends
  const [left, right] = await channelPair(t, {}, {}, ends)
  let most = Number.POSITIVE_INFINITY
  let whole = 0
  fakeKernel(t, {
    sendmsg: (real, socket, data, ...rest) => {
      const bytes = data as Uint8Array
      if (socket !== a || most === Number.POSITIVE_INFINITY) return real(socket, data, ...rest)
      whole ||= bytes.length
      if (most === 0) {
        most = Number.POSITIVE_INFINITY
        return errnoOf('EAGAIN')
      }
      const sent = real(socket, bytes.subarray(0, most), ...rest)
      most = 0
      return sent
    },
  })
  let cut = 1
  do {
    const thing = new Thing(t, { count: 2, bytes: Buffer.from('read already') })
    most = cut
    const sent = left.send('it', [thing])
    const delivery = await right.receive()
    await sent
    const [arrived] = (delivery?.things ?? []) as [ArrivedThing]
    assert.deepEqual([delivery?.message, arrived.descriptors.length, `${arrived.bytes}`], ['it', 2, 'read already'])
    await thing.assertClaimed(arrived)
  } while (++cut < whole)
  assert.ok(whole > HEADER_BYTES + 100)
})

test('a claim that is cut at any byte counts once it is whole, and not before', async (t) => {
  noLeak(t)
  for (let cut = 0; cut < 17; cut++) {
    const [a, b] = socketpair()
    const [left, right] = [channelOf(a), channelOf(b)]
    await Promise.all([left.opened, right.opened])
    let claiming = false
    fakeKernel(t, {
      sendmsg: (real, socket, data, ...rest) => {
        if (socket !== b || !claiming) return real(socket, data, ...rest)
        if (cut === 0 || (data as Uint8Array).length < 17) return errnoOf('EAGAIN')
        return real(socket, (data as Uint8Array).subarray(0, cut), ...rest)
      },
    })
    const thing = new Thing(t)
    const failed = assert.rejects(left.send('it', [thing]))
    await until('it arrived', () => right.waiting === 1)
    claiming = true
    let given = false
    const taken = right.receive().then((delivery) => {
      given = delivery !== null
    })
    await turns(4)
    assert.ok(!given, 'the claim is not whole')
    right.close()
    await Promise.all([failed, taken])
    claiming = false
    assert.ok(!given)
    await thing.assertRestored()
  }
})

test('what has to wait and cannot be held for want of descriptors is as before, or goes later', async (t) => {
  noLeak(t)
  const { channel, own, greet } = channelAndSocket(t)
  let full = true
  let blocked = false
  let dups = 0
  fakeKernel(t, {
    dup: (real, descriptor) => (full && ++dups % 2 === 0 ? errnoOf('EMFILE') : real(descriptor)),
    sendmsg: (real, ...args) => (blocked && args[0] === own ? errnoOf('EAGAIN') : real(...args)),
  })
  const early = new Thing(t, { count: 2 })
  await assert.rejects(channel.send('before the hello', [early]), { code: 'EMFILE' })
  await early.assertRestored()
  assert.equal(channel.pending, 0)
  await greet()
  blocked = true
  const late = new Thing(t, { count: 2 })
  const failed = assert.rejects(channel.send('while the socket is full', [late]), { code: 'ERR_HANDOVER_CLOSED' })
  await turns()
  channel.close()
  await failed
  full = false
  await late.assertRestored()
})

test('a descriptor that nobody can identify is not sent, or not taken, and the thing is as before', async (t) => {
  noLeak(t)
  const [left, right] = await channelPair(t)
  let failing = false
  let calls = 0
  let which = 0
  // The first call is the sender's, the second the receiver's.
  fakeKernel(t, {
    identify: (real, descriptor) => (failing && ++calls === which ? errnoOf('EIO') : real(descriptor)),
  })
  for (which of [1, 2]) {
    const thing = new Thing(t)
    calls = 0
    failing = true
    const failed = assert.rejects(left.send('it', [thing]), which === 1 ? { code: 'EIO' } : Error)
    await failed
    failing = false
    await thing.assertRestored(`call ${which}`)
    if (which === 1) assert.ok(!left.closed && !right.closed)
  }
})

test('an end that nobody can identify, or watch, is closed, and the channel is not made', (t) => {
  noLeak(t)
  for (const call of ['identify', 'watchOpen'] as const) {
    const [own, other] = socketpair()
    let failing = true
    fakeKernel(t, {
      [call]: (real: (...args: never[]) => unknown, ...args: unknown[]) =>
        failing ? errnoOf('ENOMEM') : real(...(args as never[])),
    } as never)
    assert.throws(() => channelOf(own), { code: 'ENOMEM' })
    failing = false
    assert.ok(pollReadable(other, 0), `${call}: it is closed`)
    close(other)
  }
})
