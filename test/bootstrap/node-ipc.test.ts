/** Channels over Node's own IPC. */
import assert from 'node:assert/strict'
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import test, { type TestContext } from 'node:test'
import { type Channel, channelOverIpc } from '../../src/index.js'
import { noLeak } from '../support/descriptors.js'
import { type ChannelPeer, error, type Peering, peerArguments, STRANGER, soon, watched } from '../support/peers.js'
import { program } from '../support/programs.js'

/** Starts a peer with Node's IPC. */
function forked(
  t: TestContext,
  how: Peering,
  options: Parameters<typeof fork>[2] = {},
  peer: object = {},
): ChannelPeer {
  const [script, ...args] = peerArguments(how, '', peer)
  const child = fork(script as string, args, { stdio: ['pipe', 'pipe', 'pipe', 'ipc'], ...options })
  t.after(() => child.connected && child.disconnect())
  return watched(t, child)
}

async function talk(channel: Channel, child: ChannelPeer): Promise<void> {
  await channel.send({ from: 'parent' })
  assert.deepEqual(await child.hears('message'), { from: 'parent' })
  child.order({ send: { from: 'child' } })
  assert.deepEqual((await channel.receive())?.message, { from: 'child' })
}

for (const serialization of ['json', 'advanced'] as const) {
  test(`the parent may be first (${serialization})`, async (t) => {
    noLeak(t)
    const child = forked(t, 'nothing', { serialization })
    const coming = channelOverIpc(child.child)
    await child.hears('idle')
    child.order({ do: 'ipc' })
    const channel = await coming
    t.after(() => channel.close())
    assert.equal(channel.peer?.pid, child.pid)
    assert.equal((await child.hears<{ pid: number }>('open')).pid, process.pid)
    await talk(channel, child)
  })

  test(`the child may be first (${serialization})`, async (t) => {
    noLeak(t)
    const child = forked(t, 'nothing', { serialization })
    await child.hears('idle')
    child.order({ do: 'ipc' })
    child.order({ do: 'nothing' })
    await child.hears('idle', 2) // so it has called
    const channel = await channelOverIpc(child.child)
    t.after(() => channel.close())
    assert.equal(channel.peer?.pid, child.pid)
    await talk(channel, child)
  })

  test(`the program's own messages pass undisturbed (${serialization})`, async (t) => {
    noLeak(t)
    const child = forked(t, 'nothing', { serialization })
    const own: unknown[] = []
    child.child.on('message', (message) => own.push(message))
    const words = [{ n: 1 }, 'text', null, 5, ['handover'], { handover: 5 }, { handover: null }]
    for (const word of words) child.child.send(word as never)
    const coming = channelOverIpc(child.child)
    for (const word of words) child.child.send(word as never)
    child.order({ do: 'ipc' })
    const channel = await coming
    t.after(() => channel.close())
    for (const word of words) child.child.send(word as never)
    await talk(channel, child)
    const seen = (): unknown[] => child.said('ipc')
    // What has a field `handover` the fixture itself leaves out.
    await child.hears('ipc', 3 * 5)
    assert.deepEqual(seen(), [...words.slice(0, 5), ...words.slice(0, 5), ...words.slice(0, 5)])
    assert.deepEqual(
      own.filter((message) => (message as { handover?: unknown })?.handover === undefined),
      [],
    )
  })
}

test('a channel ends and another is made over the same IPC', async (t) => {
  noLeak(t)
  const child = forked(t, 'nothing')
  for (let round = 1; round <= 3; round++) {
    child.order({ do: 'ipc' })
    const channel = await soon(channelOverIpc(child.child))
    await channel.send(round)
    assert.equal(await child.hears('message', round), round)
    channel.close()
    await child.hears('end', round)
  }
})

test('another user in the child is known', { skip: process.getuid?.() !== 0 }, async (t) => {
  noLeak(t)
  const child = forked(t, 'ipc', {}, { user: STRANGER })
  const channel = await channelOverIpc(child.child)
  t.after(() => channel.close())
  const { pid, uid, gid } = channel.peer ?? {}
  assert.deepEqual({ pid, uid, gid }, { pid: child.pid, uid: STRANGER, gid: STRANGER })
})

test('another user in the child is known though this process is late', {
  skip: process.getuid?.() !== 0,
}, async (t) => {
  noLeak(t)
  const child = forked(t, 'ipc', {}, { user: STRANGER })
  child.child.on('message', (word) => {
    // The child has said its hello long before this process goes on.
    if ((word as { handover: string }).handover === 'taken')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  })
  const channel = await channelOverIpc(child.child)
  t.after(() => channel.close())
  const { pid, uid, gid } = channel.peer ?? {}
  assert.deepEqual({ pid, uid, gid }, { pid: child.pid, uid: STRANGER, gid: STRANGER })
})

test('a child that never calls it: the time is up, and its messages still pass', async (t) => {
  noLeak(t)
  const child = forked(t, 'nothing')
  await assert.rejects(channelOverIpc(child.child, { timeout: 50 }), error('ERR_HANDOVER_TIMED_OUT', /50 ms/))
  child.child.send('still here')
  assert.equal(await child.hears('ipc'), 'still here')
  child.order({ do: 'ipc' })
  const channel = await channelOverIpc(child.child)
  channel.close()
})

test('a parent that never calls it: the child is told', async (t) => {
  noLeak(t)
  const child = forked(t, 'ipc', {}, { timeout: 50 })
  assert.equal((await child.hears<{ code: string }>('failed')).code, 'ERR_HANDOVER_TIMED_OUT')
})

test('a signal ends the waiting with its reason', async (t) => {
  noLeak(t)
  const child = forked(t, 'nothing')
  const reason = new Error('enough')
  const stop = new AbortController()
  const coming = channelOverIpc(child.child, { signal: stop.signal })
  stop.abort(reason)
  await assert.rejects(coming, (thrown) => thrown === reason)
  await assert.rejects(channelOverIpc(child.child, { signal: stop.signal }), (thrown) => thrown === reason)
})

test('a child that dies meanwhile is gone, which the error says', async (t) => {
  noLeak(t)
  const child = forked(t, 'nothing')
  const coming = channelOverIpc(child.child)
  await Promise.all([assert.rejects(coming, error('ERR_HANDOVER_PEER_GONE')), child.kill()])
  await assert.rejects(async () => channelOverIpc(child.child), { name: 'TypeError', message: /^end: a child made by/ })
})

test('a child that takes its end and dies before hello is gone, and nothing stays', async (t) => {
  noLeak(t)
  const script = program(
    t,
    `process.on('message', ({ handover }, socket) => {
      if (handover === 'ready') process.send({ handover: 'ready' })
      if (handover === 'channel') process.send({ handover: 'taken' }, () => process.exit())
    })`,
  )
  const child = fork(script, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  const exit = once(child, 'exit')
  await assert.rejects(soon(channelOverIpc(child)), error('ERR_HANDOVER_NO_HELLO'))
  await exit
})

test('a child that takes its end and says nothing: the time limit holds there too', async (t) => {
  noLeak(t)
  const script = program(
    t,
    `const kept = []
    process.on('message', ({ handover }, socket) => {
      kept.push(socket)
      if (handover === 'ready') process.send({ handover: 'ready' })
      if (handover === 'channel') process.send({ handover: 'taken' })
    })`,
  )
  const child = fork(script, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  t.after(() => child.kill('SIGKILL'))
  const taken = new Promise<void>((resolve) => {
    child.on('message', (word) => (word as { handover: string }).handover === 'taken' && resolve())
  })
  await assert.rejects(soon(channelOverIpc(child, { timeout: 3_000 })), error('ERR_HANDOVER_TIMED_OUT'))
  await taken
  child.kill('SIGKILL')
  await once(child, 'exit')
})

test('what has no IPC is a TypeError', async (t) => {
  noLeak(t)
  const plain = spawn('true', [], { stdio: 'ignore' })
  const exit = once(plain, 'exit')
  for (const end of [undefined, null, 5, {}, process, plain]) {
    await assert.rejects(async () => channelOverIpc(end as never), {
      name: 'TypeError',
      message: /^end: a child made by fork\(\), or process in such a child, with its IPC open/,
    })
  }
  await exit
  const child = forked(t, 'nothing')
  for (const [options, wrong] of [
    [{ timeout: 'x' }, TypeError],
    [{ timeout: -1 }, RangeError],
  ] as const)
    await assert.rejects(async () => channelOverIpc(child.child, options as never), wrong)
})
