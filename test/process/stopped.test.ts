/** The other process does not answer in time: a connection has exactly one owner, however that ends. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type net from 'node:net'
import test, { type TestContext } from 'node:test'
import type { HandoverError } from '../../src/index.js'
import { WITHDRAWAL_ANSWER_MAX } from '../../src/limits.js'
import { connection, type Over } from '../support/connections.js'
import { hasIpv6 } from '../support/control.js'
import { assertSockets, noLeak, socketCount } from '../support/descriptors.js'
import { isStopped, type Keeper, keeper, type Took } from '../support/keepers.js'
import { soon } from '../support/peers.js'
import { standStill } from '../support/standing-still.js'
import { until } from '../support/wait.js'

const WAYS: Over[] = ['IPv4', 'UNIX', hasIpv6 ? 'IPv6' : 'UNIX']

interface Sent {
  client: net.Socket
  socket: net.Socket
  heard: string
  outcome: string
}

async function live(t: TestContext, count: number): Promise<Sent[]> {
  const all: Sent[] = []
  for (let i = 0; i < count; i++) {
    const one: Sent = { ...(await connection(t, WAYS[i % WAYS.length] as Over)), heard: '', outcome: '' }
    one.client.on('data', (piece: Buffer) => {
      one.heard += piece
    })
    all.push(one)
  }
  return all
}

async function send({ channel }: Keeper, one: Sent, timeout: number): Promise<void> {
  try {
    await channel.send('it', [one.socket], { timeout })
    one.outcome = 'claimed'
  } catch (error) {
    one.outcome = (error as HandoverError).code
    one.socket.on('data', (piece: Buffer) => one.socket.write(String(piece).toUpperCase()))
  }
}

/** Each answers as a whole: what is here in capitals, what is there as it came. */
async function assertOneOwner(all: Sent[]): Promise<void> {
  for (const { client } of all) for (let i = 0; i < 5; i++) client.write('hello ')
  const expected = ({ outcome }: Sent): string => (outcome === 'claimed' ? 'hello ' : 'HELLO ').repeat(5)
  await until('all answer', () => all.every((one) => one.heard.length >= expected(one).length)).catch(() => {})
  for (const one of all) assert.equal(one.heard, expected(one), one.outcome)
}

function stop({ pid }: Keeper): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  return until('it has stopped', () => isStopped(readFileSync(`/proc/${pid}/stat`, 'utf8')))
}

test('who wakes after a send was withdrawn and the channel cut claims nothing of it', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const before = socketCount(peer.pid)
  const all = await live(t, 9)
  peer.order({ take: { count: 20, use: 'echo' } })
  await send(peer, all[0] as Sent, 5_000)
  await stop(peer)
  await soon(Promise.all(all.slice(1).map((one) => send(peer, one, 50))), 'the sender does not wait for ever')
  assert.deepEqual(
    all.map(({ outcome }) => outcome),
    ['claimed', ...all.slice(1).map(() => 'ERR_HANDOVER_TIMED_OUT')],
  )
  assert.equal(peer.channel.closed, true, 'both sides agree, as there is no channel any more')
  process.kill(peer.pid, 'SIGCONT')
  await peer.hears('close')
  await assertSockets(peer.pid, before, 'it has the one that it claimed, and no channel')
  await assertOneOwner(all)
  assert.equal(peer.said<Took>('took').length, 1)
  assert.deepEqual(peer.said('failed'), [])
})

test('who stood still itself hears the answers to its withdrawals before it gives the channel up', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const all = await live(t, 3)
  await stop(peer)
  const sends = all.map((one) => send(peer, one, 100))
  const wakeItAndStandStill = (): void => {
    process.kill(peer.pid, 'SIGCONT')
    standStill(WITHDRAWAL_ANSWER_MAX + 500)
  }
  // When all are withdrawn, and none is answered; the next that this process does is to look at its timers.
  setTimeout(() => setImmediate(wakeItAndStandStill), 300)
  await soon(Promise.all(sends))
  assert.deepEqual(
    all.map(({ outcome }) => outcome),
    all.map(() => 'ERR_HANDOVER_TIMED_OUT'),
  )
  await assertOneOwner(all)
  assert.equal(peer.channel.closed, false)
})

test('who wakes in time answers every withdrawal: each connection is served on one side, and none on both', async (t) => {
  noLeak(t)
  const peer = await keeper(t)
  const before = socketCount(peer.pid)
  const all = await live(t, 300)
  peer.order({ take: { count: 1_000, use: 'echo' } })
  const sends: Promise<void>[] = []
  for (let at = 0; at < all.length; at += 10) {
    if (at % 30 === 0) await stop(peer)
    for (const [index, one] of all.slice(at, at + 10).entries()) sends.push(send(peer, one, (index * 7) % 12))
    if (at % 30 === 10) process.kill(peer.pid, 'SIGCONT')
    await new Promise((resolve) => setTimeout(resolve, at % 4)) // at whatever step that is
  }
  process.kill(peer.pid, 'SIGCONT')
  await soon(Promise.all(sends))
  const claimed = all.filter(({ outcome }) => outcome === 'claimed').length
  t.diagnostic(`${claimed} were claimed`)
  assert.ok(all.every(({ outcome }) => ['claimed', 'ERR_HANDOVER_TIMED_OUT'].includes(outcome)))
  await assertSockets(peer.pid, before + claimed, 'the peer has what it claimed')
  await assertOneOwner(all)
  assert.deepEqual(peer.said('failed'), [])
  assert.equal(peer.channel.closed, false)
})
