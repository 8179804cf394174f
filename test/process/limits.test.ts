/** A process at a limit of the kernel's: errors that say so, or waiting; nothing is lost. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type net from 'node:net'
import test from 'node:test'
import type { HandoverError } from '../../src/index.js'
import { connection } from '../support/connections.js'
import { assertSockets, noLeak, socketCount } from '../support/descriptors.js'
import { keeper, type Took } from '../support/keepers.js'
import { fixture } from '../support/paths.js'
import { soon, watched } from '../support/peers.js'
import { until } from '../support/wait.js'

const PRLIMIT = { skip: spawnSync('prlimit', ['--version']).status === 0 ? false : 'needs prlimit (util-linux)' }

/** Whether a connection is served, wherever it is. */
async function answers(client: net.Socket, text: string): Promise<void> {
  client.write(text)
  assert.equal(String((await soon(once(client, 'data')))[0]), text)
}

for (const together of [1, 5, 40]) {
  test(
    `a peer at its limit of descriptors refuses and says so; what it refuses stays here: ${together} a send`,
    PRLIMIT,
    async (t) => {
      noLeak(t)
      const peer = await keeper(t)
      assert.equal(spawnSync('prlimit', ['--pid', String(peer.pid), '--nofile=50']).status, 0)
      const before = socketCount(peer.pid)
      const ends: Awaited<ReturnType<typeof connection>>[] = []
      for (let i = 0; i < 80; i++) ends.push(await connection(t))
      peer.order({ take: { count: 1_000, use: 'echo' } })
      const outcomes: string[] = []
      const sends: Promise<void>[] = []
      for (let at = 0; at < ends.length; at += together) {
        const group = ends.slice(at, at + together)
        const settled = (outcome: string) => () => void outcomes.push(...group.map(() => outcome))
        const sent = peer.channel.send(
          at,
          group.map(({ socket }) => socket),
        )
        sends.push(
          sent.then(settled('claimed'), (error: HandoverError) => {
            assert.equal(error.code, 'ERR_HANDOVER_REFUSED', `${error}`)
            assert.match(error.message, /limit/)
            for (const { socket } of group) socket.on('data', (piece: Buffer) => socket.write(piece))
            settled('refused')()
          }),
        )
      }
      await soon(Promise.all(sends))
      const claimed = outcomes.filter((outcome) => outcome === 'claimed').length
      t.diagnostic(`${claimed} claimed, ${outcomes.length - claimed} refused`)
      assert.equal(outcomes.length, ends.length)
      assert.ok(claimed < ends.length, 'some were refused')
      if (together < 40) assert.ok(claimed > 0, 'some were claimed')
      await Promise.all(ends.map(({ client }, index) => answers(client, `hello ${index}`)))
      await until(
        'it has told of all',
        () => peer.said<Took>('took').flatMap(({ things }) => things).length === claimed,
      )
      await assertSockets(peer.pid, before + claimed, 'the peer has what it claimed, and no more')
      peer.order({ close: null })
      await peer.hears('closed')
      await assertSockets(peer.pid, before, 'all are closed there')
      const { client, socket } = await connection(t)
      await soon(peer.channel.send('once more', [socket])) // there is room again
      await answers(client, 'hello')
      assert.deepEqual(peer.said('failed'), [])
    },
  )
}

test('a user over the limit of descriptors in flight waits until there is room', PRLIMIT, async (t) => {
  const args = ['--nofile=200', process.execPath, fixture('over-in-flight.mjs'), fixture('keeper.mjs')]
  const sender = watched(t, spawn('prlimit', args, { stdio: ['pipe', 'pipe', 'pipe'] }))
  t.after(() => sender.order({ leave: null }))
  await sender.hears('ready')
  sender.order({ keeper: { take: { count: 100, use: 'echo' } } })
  for (let round = 1; round <= 2; round++) {
    sender.order({ fill: null })
    const [, why] = await sender.hears<[number, string]>('filled', round)
    assert.equal(why, 'ETOOMANYREFS')
    for (let i = 0; i < 3; i++) sender.order({ send: null })
    await until('they wait', async () => {
      const asked = sender.said('pending').length
      sender.order({ pending: null })
      return (await sender.hears<number>('pending', asked + 1)) === 3
    })
    assert.equal(sender.said('settled').length, 3 * (round - 1))
    sender.order({ drain: null })
    await sender.hears('settled', 3 * round)
  }
  assert.deepEqual(
    sender.said<string[]>('settled'),
    Array.from({ length: 6 }, () => ['claimed', 'hello']),
  )
  sender.order({ fill: null })
  await sender.hears('filled', 3)
  sender.order({ send: null })
  await until('it waits', async () => {
    const asked = sender.said('pending').length
    sender.order({ pending: null })
    return (await sender.hears<number>('pending', asked + 1)) === 1
  })
  sender.order({ end: null }) // the receiver dies while it waits
  await sender.hears('settled', 7)
  assert.deepEqual(sender.said<string[]>('settled').at(-1), ['ERR_HANDOVER_PEER_GONE', 'hello'])
})
