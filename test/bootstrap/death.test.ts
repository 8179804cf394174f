/** Whatever way a channel came about: that one side has died, the other knows at once (X11), and who it was. */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type Channel, channelOverIpc, connect, lend, listen, spawn } from '../../src/index.js'
import { noLeak } from '../support/descriptors.js'
import { scratch } from '../support/paths.js'
import { type ChannelPeer, peer, peerArguments, soon, watched } from '../support/peers.js'
import { until } from '../support/wait.js'

type Made = [channel: Channel, other: ChannelPeer]

let names = 0
const ways: Record<string, (t: TestContext) => Promise<Made>> = {
  'a path, connected from there': async (t) => accepted(t, join(scratch(t), 'socket')),
  'a path, connected from here': async (t) => connected(t, join(scratch(t), 'socket')),
  'an abstract name, connected from there': (t) => accepted(t, `@handover-death-${process.pid}-${names++}`),
  'an abstract name, connected from here': (t) => connected(t, `@handover-death-${process.pid}-${names++}`),
  'a loan of ours': async (t) => {
    const { channel, address } = lend()
    return [channel, peer(t, 'connect', address)]
  },
  'a loan of theirs': async (t) => {
    const other = peer(t, 'lend')
    return [await connect(await other.hears<string>('lent')), other]
  },
  inheritance: async (t) => {
    const { child, channel } = spawn(process.execPath, peerArguments('inherited'), { stdio: ['pipe', 'pipe', 'pipe'] })
    return [channel, watched(t, child)]
  },
  IPC: async (t) => {
    const [script, ...args] = peerArguments('ipc')
    const child = fork(script as string, args, { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] })
    const other = watched(t, child)
    return [await channelOverIpc(child), other]
  },
}

async function accepted(t: TestContext, address: string): Promise<Made> {
  const listener = await listen(address)
  const other = peer(t, 'connect', address)
  const channel = (await listener.accept()) as Channel
  t.after(() => listener.close())
  return [channel, other]
}

async function connected(t: TestContext, address: string): Promise<Made> {
  const other = peer(t, 'listen', address)
  return [await connect(address, { retry: true }), other]
}

for (const [name, make] of Object.entries(ways)) {
  test(`the other is killed: ${name}`, async (t) => {
    noLeak(t)
    const [channel, other] = await make(t)
    t.after(() => channel.close())
    await channel.opened
    const { pid, uid, gid } = channel.peer ?? {}
    assert.deepEqual({ pid, uid, gid }, { pid: other.pid, uid: process.getuid?.(), gid: process.getgid?.() })
    assert.equal((await other.hears<{ pid: number }>('open')).pid, process.pid)
    await channel.send('alive')
    const [closed, receiving] = [once(channel, 'close'), channel.receive()]
    process.kill(other.pid, 'SIGKILL')
    assert.deepEqual(await soon(closed), [null])
    assert.equal(await soon(receiving), null)
    assert.equal(await channel.receive(), null)
    await assert.rejects(channel.send('too late'), { code: 'ERR_HANDOVER_PEER_GONE' })
    assert.equal(channel.peer?.pid, other.pid, 'who it was')
    await other.ended
  })

  test(`the other ends with unread words: ${name}`, async (t) => {
    noLeak(t)
    const [channel, other] = await make(t)
    t.after(() => channel.close())
    await channel.opened
    await other.hears('open')
    other.order({ send: 'last words' })
    assert.equal((await channel.receive())?.message, 'last words')
    other.order({ send: 'never claimed' })
    other.order({ send: 'nor this' })
    await until('both wait', () => channel.waiting === 2)
    process.kill(other.pid, 'SIGKILL')
    assert.deepEqual(await soon(once(channel, 'close')), [null])
    assert.equal(channel.waiting, 0, 'what was not claimed is its sender’s')
    assert.equal(await channel.receive(), null)
    await other.ended
  })

  test(`this side closes: ${name}`, async (t) => {
    noLeak(t)
    const [channel, other] = await make(t)
    await channel.opened
    await other.hears('open')
    channel.close()
    await other.hears('end')
    assert.equal(await other.hears('close'), null)
  })
}
