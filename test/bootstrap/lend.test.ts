/** Channels by a number, and descriptors taken out of other processes. */
import assert from 'node:assert/strict'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Worker } from 'node:worker_threads'
import { type Channel, connect, lend, takeDescriptor } from '../../src/index.js'
import * as api from '../../src/sendmsg/index.js'
import { close } from '../../src/syscalls/descriptor.js'
import { identify } from '../../src/syscalls/identity.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { fixture, scratch } from '../support/paths.js'
import { error, peer, STRANGER, soon, type Told } from '../support/peers.js'

const LINUX = { skip: process.platform === 'linux' ? false : 'Linux only' }
const ROOT = { skip: process.platform === 'linux' && process.getuid?.() === 0 ? false : 'needs root' }

function lent(t: TestContext): { channel: Channel; address: string; number: number } {
  const { channel, address } = lend()
  t.after(() => channel.close())
  return { channel, address, number: Number(address.split('/')[1]) }
}

test('another process fetches what is lent, and both know who the other is', LINUX, async (t) => {
  noLeak(t)
  const { channel, address } = lent(t)
  assert.match(address, new RegExp(`^pid:${process.pid}/\\d+/\\d+$`))
  const other = peer(t, 'connect', address)
  await channel.opened
  assert.equal(channel.peer?.pid, other.pid)
  assert.equal((await other.hears<{ pid: number }>('open')).pid, process.pid)
  await channel.send('fetched')
  assert.equal(await other.hears('message'), 'fetched')
  await other.kill()
  assert.equal(await channel.receive(), null)
})

test('this process fetches what another lends', LINUX, async (t) => {
  noLeak(t)
  const other = peer(t, 'lend')
  const channel = await connect(await other.hears<string>('lent'))
  t.after(() => channel.close())
  assert.equal(channel.peer?.pid, other.pid)
  assert.equal((await other.hears<{ pid: number }>('open')).pid, process.pid)
  other.order({ send: 'lent' })
  assert.equal((await channel.receive())?.message, 'lent')
  await other.kill()
  assert.equal(await channel.receive(), null)
})

test('a thread fetches what it is told by workerData', async (t) => {
  noLeak(t)
  const { channel, address } = lent(t)
  const thread = new Worker(fixture('bootstrap-peer.mjs'), { workerData: ['connect', address], stdout: true })
  t.after(() => thread.terminate())
  await channel.opened
  assert.equal(channel.peer?.pid, process.pid)
  await channel.send('to a thread')
  await thread.terminate()
  assert.equal(await soon(channel.receive()), null, 'its end is known')
})

test('a thread that lends and ends takes its loan along', async (t) => {
  noLeak(t)
  const thread = new Worker(fixture('bootstrap-peer.mjs'), { workerData: ['lend'], stdout: true })
  t.after(() => thread.terminate())
  const address = await new Promise<string>((resolve) => {
    thread.stdout.setEncoding('utf8').on('data', (text: string) => {
      const said = /"lent","value":"(.*)"/.exec(text)?.[1]
      if (said !== undefined) resolve(said)
    })
  })
  await thread.terminate()
  await assert.rejects(soon(connect(address)), error('ERR_HANDOVER_BAD_CHANNEL', /lent no more/))
})

test('it works once', async (t) => {
  noLeak(t)
  const { channel, address } = lent(t)
  const other = await connect(address)
  t.after(() => other.close())
  await channel.opened
  await assert.rejects(connect(address), error('ERR_HANDOVER_BAD_CHANNEL', /lent no more/))
  const [, delivery] = await Promise.all([channel.send('undisturbed'), other.receive()])
  assert.equal(delivery?.message, 'undisturbed')
})

test('of two that fetch in the same moment one gets it, and the channel is undisturbed', async (t) => {
  noLeak(t)
  const { channel, address } = lent(t)
  const both = await soon(
    Promise.allSettled([connect(address, { timeout: 20_000 }), connect(address, { timeout: 20_000 })]),
  )
  const [first] = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  t.after(() => first?.close())
  const codes = both.map((one) => (one.status === 'fulfilled' ? 'open' : (one.reason as Told).code))
  assert.deepEqual(codes.sort(), ['ERR_HANDOVER_BAD_CHANNEL', 'open'])
  const [, delivery] = await soon(Promise.all([channel.send('undisturbed'), first?.receive()]))
  assert.equal(delivery?.message, 'undisturbed')
})

test('closing the channel takes the loan back', LINUX, async (t) => {
  noLeak(t)
  const { channel, address } = lent(t)
  channel.close()
  await assert.rejects(channel.opened, error('ERR_HANDOVER_CLOSED'))
  await assert.rejects(connect(address), error('ERR_HANDOVER_BAD_CHANNEL', /lent no more/))
  const other = peer(t, 'connect', address)
  const told = await other.hears<Told>('failed')
  assert.equal(told.code, 'ERR_HANDOVER_BAD_CHANNEL')
  assert.doesNotMatch(told.hint, /HANDOVER_CHANNEL/, 'the hint is about what was asked for')
})

test('a number that leads elsewhere by now is told by its cookie, and left alone', LINUX, async (t) => {
  noLeak(t)
  const { channel, address, number } = lent(t)
  channel.close()
  await channel.opened.catch(() => {})
  const opened: number[] = []
  t.after(() => {
    for (const one of opened) close(one)
  })
  while (!opened.includes(number)) opened.push(openSync('/dev/null', 'r'))
  await assert.rejects(connect(address), error('ERR_HANDOVER_BAD_CHANNEL', /leads elsewhere/))
  close(opened.splice(opened.indexOf(number), 1)[0] as number)
  const sockets: api.Descriptor[] = []
  t.after(() => {
    for (const one of sockets) one.close()
  })
  while (!sockets.some(({ fd }) => fd === number)) sockets.push(...api.socketpair())
  await assert.rejects(connect(address), error('ERR_HANDOVER_BAD_CHANNEL', /leads elsewhere/))
  const other = peer(t, 'connect', address)
  assert.match((await other.hears<Told>('failed')).message, /leads elsewhere/)
})

test('a process that is gone is a clear error', LINUX, async (t) => {
  noLeak(t)
  const other = peer(t, 'lend')
  const address = await other.hears<string>('lent')
  await other.kill()
  await assert.rejects(connect(address), error('ERR_HANDOVER_BAD_CHANNEL', /is lent no more/))
})

test('another user is told what rights it takes', ROOT, async (t) => {
  noLeak(t)
  const { address, number } = lent(t)
  const stranger = peer(t, 'connect', address, { user: STRANGER })
  const told = await stranger.hears<Told>('failed')
  assert.deepEqual([told.code, told.syscall], ['EPERM', 'pidfd_getfd'])
  assert.match(told.hint, /ptrace_scope.*CAP_SYS_PTRACE/)
  const thief = peer(t, 'take', `${process.pid}/${number}`, { user: STRANGER })
  assert.equal((await thief.hears<Told>('failed')).code, 'EPERM')
})

test('what is no such address is a TypeError', async (t) => {
  noLeak(t)
  for (const place of ['', '5', '1/2', '1/2/', '1/2/x', '-1/2/3', '1/2/3/4', ' 1/2/3', '0/1/2', '9999999999/1/2']) {
    await assert.rejects(connect(`pid:${place}`), { name: 'TypeError', message: /^address: pid:PROCESS/ }, place)
  }
})

test('a copy of what another process has open is taken, and it keeps its own', LINUX, async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const other = peer(t, 'listen', path)
  await other.hears('listening')
  const before = openDescriptors(other.pid)
  const [number] = [...before].filter(([one, target]) => target.startsWith('socket:') && one > 2).at(-1) ?? [0]
  const copy = takeDescriptor(other.pid, number)
  const identity = identify(copy.fd)
  const again = takeDescriptor(other.pid, number, { identity })
  assert.equal(identify(again.fd), identity)
  assert.deepEqual(openDescriptors(other.pid), before)
  for (const one of [copy, again]) one.close()
  const channel = await connect(path)
  channel.close()
})

test('something else behind the number is told, and closed', LINUX, async (t) => {
  noLeak(t)
  const other = peer(t, 'nothing')
  await other.hears('idle')
  const [one, two] = api.socketpair()
  t.after(() => {
    for (const each of [one, two]) each.close()
  })
  const wanted = identify(one.fd)
  assert.throws(
    () => takeDescriptor(other.pid, 0, { identity: wanted }),
    error('ERR_HANDOVER_IDENTITY', new RegExp(`descriptor 0 of process ${other.pid}: expected was "${wanted}"`)),
  )
  assert.throws(() => takeDescriptor(process.pid, two.fd, { identity: wanted }), error('ERR_HANDOVER_IDENTITY'))
  const own = takeDescriptor(process.pid, one.fd, { identity: wanted })
  assert.notEqual(own.fd, one.fd)
  own.close()
})

test('a wrong process, number or argument is told, and leaves nothing open', LINUX, async (t) => {
  noLeak(t)
  const other = peer(t, 'nothing')
  await other.hears('idle')
  assert.throws(() => takeDescriptor(other.pid, 900_000), error('EBADF', /./, /other process has no such descriptor/))
  const { pid } = other
  await other.kill()
  assert.throws(() => takeDescriptor(pid, 0), error('ESRCH', /./, /No process has this pid any more/))
  const wrong: [args: unknown[], kind: typeof TypeError | typeof RangeError, says: RegExp][] = [
    [['1', 0], TypeError, /^pid: a whole number from 1/],
    [[0, 0], RangeError, /^pid: /],
    [[-1, 0], RangeError, /^pid: /],
    [[2 ** 31, 0], RangeError, /^pid: /],
    [[process.pid, -1], RangeError, /^number: /],
    [[process.pid, '0'], TypeError, /^number: /],
    [[process.pid, 0.5], RangeError, /^number: /],
    [[process.pid, 0, { identity: 5 }], TypeError, /^identity: a text/],
    [[process.pid, 0, { identity: null }], TypeError, /^identity: a text/],
  ]
  for (const [args, kind, says] of wrong) {
    assert.throws(
      () => takeDescriptor(...(args as Parameters<typeof takeDescriptor>)),
      (thrown) => thrown instanceof kind && says.test(thrown.message),
      String(args),
    )
  }
})
