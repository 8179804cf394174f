/** A link that is at rest is gone on with by somebody else, who has its socket and its state. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { Link } from '../../src/channel/link.js'
import type { LinkState } from '../../src/channel/rest.js'
import { close, dup } from '../../src/syscalls/descriptor.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { noLeak } from '../support/descriptors.js'
import { until } from '../support/wait.js'

interface Peer {
  link: Link
  heard: unknown[]
  taken: number
  finished: number
  closed: boolean
}

/** An end that takes everything. */
function peer(socket: number, state: LinkState | null = null): Peer {
  const one: Peer = { link: null as unknown as Link, heard: [], taken: 0, finished: 0, closed: false }
  one.link = new Link(
    socket,
    {
      message: (message) => one.heard.push(message),
      transports: (_tag, descriptors) => {
        one.taken += descriptors.length
        for (const descriptor of descriptors) close(descriptor)
      },
      finished: (count) => {
        one.finished = count
      },
      closed: () => {
        one.closed = true
      },
    },
    false,
    state,
  )
  return one
}

/** Sends a copy of its own socket, so that descriptors are counted. */
function sendOne(link: Link): void {
  link.take(dup(link.descriptor), 1)
  link.flush()
}

async function pair(t: TestContext): Promise<[Peer, Peer]> {
  const [one, other] = socketpair()
  const ends: [Peer, Peer] = [peer(one), peer(other)]
  t.after(() => ends.forEach(({ link }) => void link.close()))
  await until('both have said hello', () => ends.every(({ link }) => link.peer !== null))
  return ends
}

test('whoever goes on counts on: messages, descriptors and closed transports, both ways', async (t) => {
  noLeak(t)
  const [before, other] = await pair(t)
  for (let i = 0; i < 3; i++) sendOne(before.link)
  sendOne(other.link)
  before.link.finish(1)
  await until(
    'all is at rest',
    () => before.taken === 1 && other.taken === 3 && other.finished === 1 && before.link.state !== null,
  )
  before.link.hold(true)
  const state = JSON.parse(JSON.stringify(before.link.state)) as LinkState
  assert.deepEqual({ ...state, peer: null }, { peer: null, sent: 3, received: 1, claimed: 1, finished: 1, accepted: 0 })
  other.link.send('meanwhile')
  sendOne(other.link)
  const after = peer(dup(before.link.descriptor), state)
  t.after(() => after.link.close())
  before.link.letGo()
  assert.equal(before.closed, false)
  assert.deepEqual(after.heard, [])
  after.link.hold(false)
  after.link.send('after')
  sendOne(after.link)
  after.link.finish(2)
  await until(
    'all has come',
    () => after.taken === 1 && other.taken === 4 && other.finished === 3 && other.link.unclaimed === 0,
  )
  assert.deepEqual(after.heard, ['meanwhile'])
  assert.deepEqual(other.heard, ['after'])
  assert.equal(other.closed, false)
})

test('a link that is held reads nothing and writes nothing, and goes on as if nothing had been', async (t) => {
  noLeak(t)
  const [one, other] = await pair(t)
  one.link.hold(true)
  one.link.send('held')
  other.link.send('unread')
  sendOne(other.link)
  assert.equal(one.link.state, null, 'something waits to be sent')
  other.link.send('and more')
  await until('the kernel has it', () => other.link.queued === 0)
  assert.deepEqual([one.heard, other.heard, one.taken], [[], [], 0])
  one.link.hold(false)
  await until('all has come', () => one.heard.length === 2 && other.heard.length === 1 && one.taken === 1)
  assert.deepEqual([one.heard, other.heard], [['unread', 'and more'], ['held']])
})

test('one that has not heard the other, or owes something, is not at rest', async (t) => {
  noLeak(t)
  const [socket, silent] = socketpair()
  const one = peer(socket)
  t.after(() => {
    one.link.close()
    close(silent)
  })
  assert.equal(one.link.state, null)
  const [before, other] = await pair(t)
  other.link.hold(true)
  sendOne(before.link)
  assert.equal(before.link.state, null, 'it is not claimed')
  other.link.hold(false)
  await until('it is claimed', () => before.link.state !== null)
  before.link.close()
  assert.equal(before.link.state, null)
})
