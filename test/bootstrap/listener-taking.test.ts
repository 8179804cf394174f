/** Taking channels: late, for a time, until a signal; in loops that are left. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { type Channel, type ChannelListener, type ChannelListenOptions, connect, listen } from '../../src/index.js'
import { noLeak } from '../support/descriptors.js'
import { error, openPath, soon } from '../support/peers.js'
import { turns } from '../support/things.js'
import { until } from '../support/wait.js'

async function listening(t: TestContext, options: ChannelListenOptions = {}): Promise<ChannelListener> {
  const listener = await listen(openPath(t), options)
  t.after(() => listener.close())
  return listener
}

async function connected(t: TestContext, listener: ChannelListener, count: number): Promise<Channel[]> {
  const channels: Channel[] = []
  for (let i = 0; i < count; i++) channels.push(await connect(listener.address))
  t.after(() => {
    for (const channel of channels) channel.close()
  })
  await turns(10) // all are greeted there, too
  return channels
}

test('channels that came before anybody listened to the event come then, in order', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  const made = await connected(t, listener, 3)
  const came: Channel[] = []
  listener.on('channel', (channel) => came.push(channel))
  assert.equal(came.length, 0, 'not within the call that attaches')
  await until('all came', () => came.length === 3)
  for (const [i, channel] of came.entries()) {
    const [delivery] = await soon(Promise.all([channel.receive(), made[i]?.send(i)]))
    assert.equal(delivery?.message, i)
    channel.close()
  }
})

test('who listens once gets one of them, and the others wait', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  await connected(t, listener, 2)
  const first = await soon(new Promise<Channel>((resolve) => listener.once('channel', resolve)))
  await turns()
  const second = await soon(listener.accept())
  assert.notEqual(second, first)
  for (const channel of [first, second]) channel?.close()
})

test('accept ends by time or signal, and loses nothing', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  const reason = new Error('enough')
  await assert.rejects(listener.accept({ timeout: 5 }), error('ERR_HANDOVER_TIMED_OUT', /5 ms/))
  const given = new AbortController()
  const waiting = listener.accept({ signal: given.signal })
  given.abort(reason)
  await assert.rejects(waiting, (thrown) => thrown === reason)
  await connected(t, listener, 1)
  await assert.rejects(listener.accept({ signal: given.signal }), (thrown) => thrown === reason)
  const channel = await soon(listener.accept({ timeout: 1_000, signal: new AbortController().signal }))
  assert.ok(channel !== null)
  channel.close()
  for (const options of [{ timeout: -1 }, { timeout: 'x' }, { signal: 5 }, { until: 5 }]) {
    await assert.rejects(listener.accept(options as never), (thrown) => /Type|Range/.test((thrown as Error).name))
  }
})

test('a loop that is left while it waits ends at once, and takes nothing', async (t) => {
  noLeak(t)
  const listener = await listening(t)
  const loop = listener[Symbol.asyncIterator]()
  const waiting = loop.next()
  await soon(loop.return?.() as Promise<unknown>)
  assert.equal((await soon(waiting)).done, true)
  await connected(t, listener, 1)
  const channel = await soon(listener.accept())
  assert.ok(channel !== null)
  channel.close()
})

test('a reason from outside reaches the log in one short line', async (t) => {
  noLeak(t)
  const warned: string[] = []
  const onWarning = (warning: Error): void => void warned.push(warning.message)
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  const listener = await listening(t, { admit: () => `no\n\u001b[31m\u009b2J\u202e${'x'.repeat(1_000)}` })
  await assert.rejects(connect(listener.address))
  await until('a warning', () => warned.length === 1)
  const [said = ''] = warned
  assert.match(said, /no\\u\{a\}\\u\{1b\}\[31m\\u\{9b\}2J\\u\{202e\}x+…$/)
  assert.doesNotMatch(said, /[\p{Cc}\p{Cf}]/u)
  assert.ok(said.length < listener.address.length + 250)
})
