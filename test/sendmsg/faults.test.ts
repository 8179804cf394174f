/** An exception between the system call and the return: every descriptor that arrived is closed, and none is lost. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { errnoOf } from '../../src/errors.js'
import {
  bind,
  close,
  closeDescriptors,
  type Descriptor,
  recvmmsg,
  recvmsg,
  recvmsgInto,
  rights,
  SOCK_DGRAM,
  sendmsg,
  setsockopt,
} from '../../src/sendmsg/index.js'
import { assertGone, type Marked, marked, pass, receive, unixPair } from '../support/control.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'

type Envelopes = Parameters<typeof closeDescriptors>[0][]

const room = Buffer.alloc(16)

/** Every way to receive: the control messages of each message that came. */
const receivers: Record<string, (socket: Descriptor) => { ancillary: Envelopes[number] }[]> = {
  recvmsg: (socket) => [recvmsg(socket, 16, 256) ?? { ancillary: [] }],
  recvmsgInto: (socket) => [recvmsgInto(socket, room, 256) ?? { ancillary: [] }],
  recvmmsg: (socket) => recvmmsg(socket, 8, 16, 256) ?? [],
}

/** Closes what came, and tells how many that were. */
const closed = (messages: { ancillary: Envelopes[number] }[]): number =>
  messages.reduce((sum, { ancillary }) => sum + closeDescriptors(ancillary), 0)

type Methods = Record<string, (...args: unknown[]) => unknown>

/** Places that a receive comes by while it puts a message together. */
const places: [place: string, owner: Methods, method: string][] = [
  ['Buffer.allocUnsafe', Buffer as unknown as Methods, 'allocUnsafe'],
  ['Buffer.from', Buffer as unknown as Methods, 'from'],
  ['Array.prototype.push', Array.prototype as unknown as Methods, 'push'],
]

const failure = new RangeError('no memory')

/**
 * Lets a method fail once the native receive has returned: from the `nth` call on, `times` times, within `call`.
 * Gives what came, how often the fault was met, and what was thrown.
 */
function failing<Result>(
  t: TestContext,
  [, owner, method]: (typeof places)[number],
  { nth, times }: { nth: number; times: number },
  call: () => Result,
): { came: Result | null; struck: number; thrown: unknown } {
  let armed = false
  const arm = (received: number): number => {
    armed = true
    return received
  }
  fakeKernel(t, {
    recvmsg: (real, ...args) => arm(real(...args)),
    recvmmsg: (real, ...args) => arm(real(...args)),
  })
  const real = owner[method] as Methods[string]
  let calls = 0
  let struck = 0
  owner[method] = function (this: unknown, ...args: unknown[]) {
    if (armed && calls++ >= nth && struck < times) {
      struck++
      throw failure
    }
    return Reflect.apply(real, this, args)
  }
  let came: Result | null = null
  let thrown: unknown = null
  try {
    came = call()
  } catch (error) {
    thrown = error
  } finally {
    owner[method] = real
  }
  return { came, struck, thrown }
}

/** Two messages from a named socket, with credentials and descriptors: all that a receive decodes is in them. */
function sent(t: TestContext): { to: Descriptor; things: Marked[] } {
  const [from, to] = unixPair(t, SOCK_DGRAM)
  bind(from, { path: '' })
  setsockopt(to, 'SO_PASSCRED', true)
  const things = marked(t, 5)
  pass(from, 'first', things.slice(0, 3))
  pass(from, 'second', things.slice(3))
  return { to, things }
}

for (const [name, receiver] of Object.entries(receivers)) {
  for (const place of places) {
    test(`${name}: ${place[0]} fails once, at any time between the call and the return: what arrived is closed`, (t) => {
      noLeak(t)
      let met = 0
      for (let nth = 0; nth < 10; nth++) {
        const { to, things } = sent(t)
        const { came, struck, thrown } = failing(t, place, { nth, times: 1 }, () => receiver(to))
        met += struck
        assert.equal(thrown, struck > 0 ? failure : null)
        if (struck === 0) assert.ok(closed(came ?? []) > 0)
        while (closed(receiver(to)) > 0);
        assertGone(things, `the call number ${nth + 1} fails`)
      }
      assert.ok(met > 0, 'the fault was met')
    })

    // Memory that is short stays short: what closes the descriptors must not need any.
    if (place[2] === 'push') continue
    test(`${name}: ${place[0]} fails and goes on failing: what arrived is closed all the same`, (t) => {
      noLeak(t)
      const { to, things } = sent(t)
      const always = { nth: 0, times: Number.POSITIVE_INFINITY }
      const { struck, thrown } = failing(t, place, always, () => receiver(to))
      assert.ok(struck > 0)
      assert.equal(thrown, failure)
      while (closed(receiver(to)) > 0);
      assertGone(things)
    })
  }

  test(`${name}: the stack is full, at any depth: a message is given whole, or is still there, or its descriptors are closed`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, SOCK_DGRAM)
    const before = openDescriptors()
    let came: ReturnType<typeof receiver> | null = null
    const descend = (depth: number): void => {
      if (depth > 0) return descend(depth - 1)
      came = receiver(to)
    }
    /** One message, received so deep; what became of its three descriptors. */
    const attempt = (depth: number): 'whole' | 'there' | 'closed' | 'leaked' => {
      assert.equal(sendmsg(from, Buffer.from('x'), [rights([from, from, from])]), 1)
      came = null
      let thrown: unknown
      try {
        descend(depth)
      } catch (error) {
        thrown = error
      }
      if (thrown === undefined) {
        assert.equal(closed(came ?? []), 3)
        return 'whole'
      }
      assert.ok(thrown instanceof RangeError, `the stack's own error, not ${thrown}`)
      if (closed(receiver(to)) === 3) return 'there'
      const left = [...openDescriptors().keys()].filter((number) => !before.has(number))
      for (const number of left) close(number)
      return left.length > 0 ? 'leaked' : 'closed'
    }
    // Compiled code has smaller frames: first let it be compiled, then look for the edge, then go over it step by step.
    for (let i = 0; i < 3_000; i++) attempt(50)
    let [fits, fails] = [0, 1_000]
    while (attempt(fails) === 'whole') [fits, fails] = [fails, 2 * fails]
    while (fails - fits > 1) {
      const middle = Math.floor((fits + fails) / 2)
      if (attempt(middle) === 'whole') fits = middle
      else fails = middle
    }
    const met = { whole: 0, there: 0, closed: 0, leaked: 0 }
    for (let depth = fits - 20; met.there < 30 && depth < fits + 5_000; depth++) met[attempt(depth)]++
    assert.ok(met.whole > 0 && met.there > 0, JSON.stringify(met))
    assert.equal(met.leaked, 0, `descriptors were left open: ${JSON.stringify(met)}`)
  })
}

test('a close that fails while an exception is under way does not hide it', (t) => {
  noLeak(t)
  const { to, things } = sent(t)
  const all = new Set(openDescriptors().keys())
  fakeKernel(t, {
    close: (real, ...args) => real(...args) || errnoOf('EBADF'),
    closeMany: (real, ...args) => real(...args) || errnoOf('EBADF'),
  })
  const [place] = places
  assert.ok(place)
  const { thrown } = failing(t, place, { nth: 0, times: 1 }, () => recvmsg(to, 16, 256))
  assert.deepEqual(
    [...openDescriptors().keys()].filter((number) => !all.has(number)),
    [],
  )
  assert.equal(thrown, failure)
  assertGone(things.slice(0, 3))
})

test('a call that fails closes no descriptor of the message before', (t) => {
  noLeak(t)
  const [from, to] = unixPair(t)
  const [thing] = marked(t)
  assert.ok(thing)
  pass(from, 'x', [thing])
  const { ancillary } = receive(to)
  fakeKernel(t, { recvmsg: () => errnoOf('ENOMEM'), recvmmsg: () => -523 })
  assert.throws(() => recvmsg(to, 16, 256), { code: 'ENOMEM', syscall: 'recvmsg' })
  assert.throws(() => recvmsgInto(to, room, 256), { code: 'ENOMEM', syscall: 'recvmsg' })
  assert.throws(() => recvmmsg(to, 8, 16, 256), { code: 'UNKNOWN_ERRNO_523', syscall: 'recvmmsg' })
  const [kept] = rights.from(ancillary)
  assert.ok(kept !== undefined && openDescriptors().has(kept))
  close(kept)
})
