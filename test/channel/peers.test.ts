/** Channels to real processes, which are stopped and killed at every step. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import test, { type TestContext } from 'node:test'
import { spawnWithChannel } from '../../src/bootstrap/inherit.js'
import type { Channel } from '../../src/channel/channel.js'
import { WITHDRAWAL_ANSWER_MAX } from '../../src/limits.js'
import { noLeak } from '../support/descriptors.js'
import { fixture } from '../support/paths.js'
import { Thing } from '../support/things.js'
import { until } from '../support/wait.js'

const SOON = { timeout: 20_000 }

interface PeerProcess {
  child: ChildProcess
  /** Waits until it has said a word, and gives the number it said last with it. */
  heard(word: string, least?: number): Promise<number>
}

function listen(t: TestContext, child: ChildProcess): PeerProcess {
  const said = new Map<string, number>()
  const lines: string[] = []
  createInterface({ input: child.stdout as Readable }).on('line', (line) => {
    lines.push(line)
    const [word, count] = line.split(' ') as [string, string]
    said.set(word, Number(count))
  })
  const ended = once(child, 'close')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    child,
    async heard(word, least = 0) {
      const holds = (): boolean => (said.get(word) ?? -1) >= least
      await until(`"${word} ${least}"`, holds).catch((error: Error) => {
        throw new Error(`${error.message}\n${lines.join('\n')}`)
      })
      return said.get(word) as number
    },
  }
}

async function peerProcess(
  t: TestContext,
  mode: 'idle' | 'take',
  limit?: number,
): Promise<PeerProcess & { channel: Channel }> {
  const args = [process.execPath, fixture('channel-peer.mjs'), mode]
  const under = limit === undefined ? 'exec "$0" "$@"' : `ulimit -n ${limit}; exec "$0" "$@"`
  const { child, channel } = spawnWithChannel('/bin/sh', ['-c', under, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const peer = listen(t, child)
  t.after(() => channel.close())
  await channel.opened
  await peer.heard('opened')
  return { ...peer, channel }
}

async function stop({ child }: PeerProcess): Promise<void> {
  child.kill('SIGSTOP')
  const state = (): string | undefined => /\) (\w)/.exec(readFileSync(`/proc/${child.pid}/stat`, 'utf8'))?.[1]
  await until('it is stopped', () => state() === 'T')
}

test('a peer that is killed before a send: the thing is as before', SOON, async (t) => {
  noLeak(t)
  const { child, channel } = await peerProcess(t, 'take')
  child.kill('SIGKILL')
  const thing = new Thing(t)
  await assert.rejects(channel.send('it', [thing]), { code: /^ERR_HANDOVER_(PEER_GONE|CLOSED)$/ } as never)
  if (thing.outcomes.length === 0) thing.settle('restored')
  await thing.assertRestored()
})

for (const where of ['in the kernel', 'read, and not taken'] as const) {
  test(`a peer that is killed while a thing is ${where}: the thing is as before, at once`, SOON, async (t) => {
    noLeak(t)
    const peer = await peerProcess(t, where === 'in the kernel' ? 'take' : 'idle')
    if (where === 'in the kernel') await stop(peer)
    const things = [new Thing(t, { count: 3 }), new Thing(t)]
    const failures = things.map((thing, i) =>
      assert.rejects(peer.channel.send(i, [thing]), { code: 'ERR_HANDOVER_PEER_GONE' }),
    )
    if (where !== 'in the kernel') await peer.heard('waiting', 2)
    const ended = once(peer.channel, 'close')
    peer.child.kill('SIGKILL')
    await Promise.all(failures)
    for (const thing of things) await thing.assertRestored()
    assert.deepEqual(await ended, [null])
    assert.equal(peer.channel.pending, 0)
  })
}

test('a peer that is killed with a thing it has claimed takes that thing with it', SOON, async (t) => {
  noLeak(t)
  const peer = await peerProcess(t, 'take')
  const thing = new Thing(t)
  await peer.channel.send('it', [thing])
  assert.deepEqual(thing.outcomes, ['claimed'])
  await peer.heard('taken', 1)
  assert.ok(!thing.isGone, 'the peer has it')
  peer.child.kill('SIGKILL')
  await until('its copy went with it', () => thing.isGone)
  assert.deepEqual(thing.outcomes, ['claimed'])
})

test('a peer that is killed at any moment of a busy exchange leaves each thing with one owner', SOON, async (t) => {
  noLeak(t)
  for (const after of [1, 7, 30]) {
    const peer = await peerProcess(t, 'take')
    const things = Array.from({ length: 60 }, () => new Thing(t))
    let settled = 0
    const sends = things.map(async (thing, i) => {
      const outcome = await peer.channel.send(i, [thing]).then(
        () => 'claimed',
        () => 'restored',
      )
      if (++settled === after) peer.child.kill('SIGKILL')
      return outcome
    })
    const outcomes = await Promise.all(sends)
    for (const [i, thing] of things.entries()) {
      assert.deepEqual(thing.outcomes, [outcomes[i]])
      if (outcomes[i] === 'restored') await thing.assertRestored()
      else await until('it went with the peer', () => thing.isGone)
    }
  }
})

test(
  'an offer that is not wanted any more comes back from a peer that answers, and the channel lives',
  SOON,
  async (t) => {
    noLeak(t)
    const peer = await peerProcess(t, 'idle')
    const thing = new Thing(t)
    await assert.rejects(peer.channel.send('it', [thing], { timeout: 50 }), { code: 'ERR_HANDOVER_TIMED_OUT' })
    await thing.assertRestored()
    assert.ok(!peer.channel.closed)
  },
)

for (const mode of ['take', 'idle'] as const) {
  test(
    `a peer that is stuck and would ${mode} does not have what timed out, not even when it goes on`,
    SOON,
    async (t) => {
      noLeak(t)
      const peer = await peerProcess(t, mode)
      const read = new Thing(t)
      const failures: Promise<void>[] = []
      const timesOut = (thing: Thing): Promise<void> =>
        assert.rejects(peer.channel.send('it', [thing], { timeout: 50 }), { code: 'ERR_HANDOVER_TIMED_OUT' })
      if (mode === 'idle') {
        failures.push(assert.rejects(peer.channel.send('read', [read]), { code: 'ERR_HANDOVER_PEER_GONE' }))
        await peer.heard('waiting', 1)
      }
      await stop(peer)
      const thing = new Thing(t)
      const started = performance.now()
      await timesOut(thing)
      const took = performance.now() - started
      assert.ok(took < 50 + WITHDRAWAL_ANSWER_MAX + 10_000, `within the bound, not ${took} ms`)
      await Promise.all(failures)
      await until('the channel is cut', () => peer.channel.closed)
      thing.assertUsable('while the peer is stuck')
      peer.child.kill('SIGCONT')
      assert.equal(await peer.heard('ended'), 0, 'it took nothing')
      await thing.assertRestored('while the peer lives')
      if (mode === 'idle') await read.assertRestored()
      else read.settle('claimed')
    },
  )
}

test('the cut of a channel to a stuck peer is told as what it is', SOON, async (t) => {
  noLeak(t)
  const peer = await peerProcess(t, 'take')
  await stop(peer)
  const ended = once(peer.channel, 'close')
  const send = peer.channel.send('it', [], { timeout: 0 })
  await assert.rejects(send, { code: 'ERR_HANDOVER_TIMED_OUT' })
  const [error] = await ended
  assert.notEqual(error, null, 'null is for an orderly end')
})

test('a process at its descriptor limit refuses, and takes what it has room for', SOON, async (t) => {
  noLeak(t)
  const peer = await peerProcess(t, 'take', 64)
  const large = new Thing(t, { count: 100 })
  await assert.rejects(peer.channel.send('large', [large]), { code: 'ERR_HANDOVER_REFUSED', message: /at its limit/ })
  await large.assertRestored()
  const small = new Thing(t)
  await peer.channel.send('small', [small])
  assert.deepEqual(small.outcomes, ['claimed'])
  peer.child.kill('SIGKILL')
  await until('it went with the peer', () => small.isGone)
})

test('the death of whoever started it is known to a peer at once', SOON, async (t) => {
  noLeak(t)
  const child = spawn(process.execPath, [fixture('channel-peer.mjs'), 'lead'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const peer = listen(t, child)
  await peer.heard('led')
  const taker = await peer.heard('opened')
  await peer.heard('taken', 1)
  child.kill('SIGKILL')
  await peer.heard('ended', 1)
  child.stdin.end() // the other reads its end there, and ends
  await until('the other ends', () => {
    try {
      return process.kill(taker, 0) && false
    } catch {
      return true
    }
  })
})
