/** The other process is killed at each step of a transfer: what it had claimed ends, all else is served here as before. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import type net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { HandoverError } from '../../src/index.js'
import { connection, type Over } from '../support/connections.js'
import { hasIpv6 } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'
import { isStopped, type Keeper, keeper } from '../support/keepers.js'
import { scratch } from '../support/paths.js'
import { soon } from '../support/peers.js'
import { until } from '../support/wait.js'

/** A live connection that is sent away, and what its client is told. */
interface Sent {
  readonly client: net.Socket
  readonly socket: net.Socket
  /** All that its client has said. */
  said: string
  readonly heard: { text: string; ended: boolean }
  outcome: 'claimed' | 'restored' | null
}

const WAYS: Over[] = ['IPv4', 'UNIX', hasIpv6 ? 'IPv6' : 'UNIX']

function say(one: Sent, text: string): void {
  one.said += text
  one.client.write(text)
}

/** Connections in use: of every other one, something was read already and not delivered. */
async function live(t: TestContext, count: number): Promise<Sent[]> {
  const all: Sent[] = []
  for (let i = 0; i < count; i++) {
    const ends = await connection(t, WAYS[i % WAYS.length] as Over)
    const one: Sent = { ...ends, said: '', heard: { text: '', ended: false }, outcome: null }
    one.client.on('data', (piece: Buffer) => {
      one.heard.text += piece
    })
    for (const event of ['end', 'close'] as const) {
      one.client.on(event, () => {
        one.heard.ended = true
      })
    }
    say(one, `first ${i},`)
    if (i % 2 === 0) {
      if (one.socket.readableLength === 0) {
        await once(one.socket, 'readable')
        assert.ok(one.socket.readableLength > 0, 'read and not delivered')
      }
    }
    all.push(one)
  }
  return all
}

/** Sends each alone, or several together; settles when all are. */
function send({ channel }: Keeper, all: Sent[], together = 1): Promise<unknown> {
  const sends: Promise<void>[] = []
  for (let at = 0; at < all.length; at += together) {
    const group = all.slice(at, at + together)
    const settled = (outcome: Sent['outcome']) => (): void => {
      for (const one of group) {
        assert.equal(one.outcome, null, 'settled once')
        one.outcome = outcome
      }
    }
    const sent = channel.send(
      at,
      group.map(({ socket }) => socket),
    )
    sends.push(
      sent.then(settled('claimed'), (error: HandoverError) => {
        assert.ok(['ERR_HANDOVER_PEER_GONE', 'ERR_HANDOVER_CLOSED'].includes(error.code), `${error}`)
        settled('restored')()
      }),
    )
  }
  for (const one of all) say(one, 'on its way,')
  return Promise.all(sends)
}

/** Each connection is either ended or served here, to the last byte; what was claimed may have been answered before. */
async function assertAccounted(all: Sent[], claimed: number | null, what: string): Promise<void> {
  const restored = all.filter(({ outcome }) => outcome === 'restored')
  const lost = all.filter(({ outcome }) => outcome === 'claimed')
  assert.equal(restored.length + lost.length, all.length, `${what}: all are settled`)
  if (claimed !== null) assert.equal(lost.length, claimed, `${what}: so many were claimed`)
  for (const one of restored) {
    assert.equal(one.socket.destroyed, false, `${what}: it is the sender's`)
    one.socket.on('data', (piece: Buffer) => one.socket.write(piece))
    say(one, 'after')
  }
  await until(`${what}: what was not claimed is served on`, () =>
    restored.every(({ said, heard }) => heard.text.length >= said.length),
  )
  for (const { said, heard } of restored) {
    assert.equal(heard.text, said, what)
    assert.equal(heard.ended, false, `${what}: its client sees no end`)
  }
  await until(`${what}: the clients of what was claimed see the end`, () => lost.every(({ heard }) => heard.ended))
  for (const { said, heard } of lost) assert.ok(said.startsWith(heard.text), `${what}: ${heard.text}`)
}

function stop({ pid }: Keeper): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  return until('it has stopped', () => isStopped(readFileSync(`/proc/${pid}/stat`, 'utf8')))
}

test('killed before anything is sent: all stays here', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const all = await live(t, 12)
  await stop(peer)
  process.kill(peer.pid, 'SIGKILL') // this process has not heard of it when it sends
  await soon(send(peer, all, 3))
  await assertAccounted(all, 0, 'killed before')
  await assert.rejects(peer.channel.send('more'), { code: /ERR_HANDOVER_(PEER_GONE|CLOSED)/ })
})

test('killed while output is being flushed: the connection stays here, with all its output', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const { client, socket } = await connection(t)
  const bulk = Buffer.alloc(16 * 1024 * 1024, 'b')
  client.pause()
  socket.write(bulk)
  const sending = peer.channel.send('it', [socket], { flushTimeout: 20_000 })
  sending.catch(() => {})
  await peer.kill()
  let received = 0
  client.resume().on('data', (piece: Buffer) => {
    received += piece.length
  })
  await soon(assert.rejects(sending, { code: /ERR_HANDOVER_(PEER_GONE|CLOSED)/ }))
  socket.write('!')
  await until('all of it arrives', () => received === bulk.length + 1)
})

test('killed with everything in the kernel, or waiting here for the window: all stays here', async (t) => {
  noLeak(t)
  for (const [count, together] of [
    [12, 4],
    [200, 1],
  ] as const) {
    const peer = await keeper(t)
    const all = await live(t, count)
    await stop(peer)
    const settled = send(peer, all, together)
    assert.equal(peer.channel.pending, count / together)
    await new Promise((resolve) => setImmediate(resolve))
    await peer.kill()
    await soon(settled)
    await assertAccounted(all, 0, `${count} in the kernel`)
  }
})

test('killed when it has received and not taken: all stays here', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const all = await live(t, 20)
  const settled = send(peer, all)
  await until('all have arrived', () => peer.said('waiting').at(-1) === 20)
  await peer.kill()
  await soon(settled)
  await assertAccounted(all, 0, 'received')
})

test('killed when it has claimed some: those end, the others are served here', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const all = await live(t, 20)
  peer.order({ take: { count: 7, use: 'echo' } })
  const settled = send(peer, all)
  await peer.hears('took', 7)
  await until('this process knows what was claimed', () => all.filter(({ outcome }) => outcome !== null).length === 7)
  await peer.kill()
  await soon(settled)
  await assertAccounted(all, 7, 'claimed')
  assert.deepEqual(
    all.map(({ outcome }) => outcome),
    all.map((_, index) => (index < 7 ? 'claimed' : 'restored')),
    'the first',
  )
})

test('claimed, and killed before this process has read the claim: both agree that it was claimed', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const all = await live(t, 6)
  const mark = join(scratch(t), 'taken')
  peer.order({ take: { count: 6, use: 'echo', mark } })
  const settled = send(peer, all)
  // this thread reads nothing until the other has taken them, and is dead
  const deadline = performance.now() + 30_000
  while (!existsSync(mark) && performance.now() < deadline);
  process.kill(peer.pid, 'SIGKILL')
  assert.ok(all.every(({ outcome }) => outcome === null))
  await soon(settled)
  await assertAccounted(all, 6, 'unread claims')
})

test('killed at any moment of a stream of transfers: every connection is either ended or served here', async (t) => {
  noLeak(t)
  let [claimed, restored] = [0, 0]
  for (let round = 0; round < 9; round++) {
    const peer = await keeper(t)
    const all = await live(t, 40)
    peer.order({ take: { count: 40, use: 'echo' } })
    const settled = send(peer, all, 1 + (round % 4))
    const already = (): number => all.filter(({ outcome }) => outcome === 'claimed').length
    await until('some are claimed', () => already() >= round * 4)
    await peer.kill()
    await soon(settled)
    await assertAccounted(all, null, `round ${round}`)
    claimed += already()
    restored += all.length - already()
    for (const { client, socket } of all) {
      client.destroy()
      socket.destroy()
    }
    if (!peer.channel.closed) await once(peer.channel, 'close')
  }
  t.diagnostic(`${claimed} were claimed, ${restored} were not`)
  assert.ok(claimed > 0)
})
