/** Programs that send descriptors and speak no protocol. */
import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { existsSync, openSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type BareDelivery, type BareReceiver, type ReceiveBareOptions, receiveBare } from '../../src/index.js'
import { BARE_DESCRIPTORS_MAX, BARE_SENDERS_MAX } from '../../src/limits.js'
import * as api from '../../src/sendmsg/index.js'
import { close } from '../../src/syscalls/descriptor.js'
import { command } from '../support/command.js'
import { tcpPair, unixPair } from '../support/control.js'
import { noLeak, socketCount } from '../support/descriptors.js'
import { fakeKernel } from '../support/fake-kernel.js'
import { root, scratch } from '../support/paths.js'
import { error, openPath, peer, STRANGER, soon } from '../support/peers.js'
import { turns } from '../support/things.js'
import { until } from '../support/wait.js'

const ROOT = { skip: process.getuid?.() === 0 ? false : 'needs root' }

async function receiving(t: TestContext, options: ReceiveBareOptions = {}): Promise<BareReceiver> {
  const receiver = await receiveBare(join(scratch(t), 'socket'), options)
  t.after(() => receiver.close())
  return receiver
}

/** A receiver from one end of a pair, and the other end. */
async function paired(t: TestContext, type?: number): Promise<[BareReceiver, api.Descriptor]> {
  const [ours, theirs] = unixPair(t, type)
  const receiver = await receiveBare(ours)
  t.after(() => receiver.close())
  return [receiver, theirs]
}

function sender(t: TestContext, { address }: BareReceiver): api.Descriptor {
  const socket = api.socket(api.AF_UNIX, api.SOCK_STREAM)
  t.after(() => socket.close())
  api.connect(socket, { path: address })
  return socket
}

function say(socket: api.Descriptor, text: string, descriptors: api.DescriptorLike[] = []): void {
  const ancillary = descriptors.length === 0 ? undefined : [api.rights(descriptors)]
  assert.equal(api.sendmsg(socket, Buffer.from(text), ancillary), text.length)
}

/** Sends a copy of something that nobody here keeps. */
function give(socket: api.Descriptor, text: string, descriptor: api.Descriptor): void {
  say(socket, text, [descriptor])
  descriptor.close()
}

async function taken(receiver: BareReceiver): Promise<BareDelivery> {
  const delivery = await soon(receiver.receive(), 'a delivery')
  assert.ok(delivery !== null)
  return delivery
}

function devNull(t: TestContext): number {
  const number = openSync('/dev/null', 'r')
  t.after(() => close(number))
  return number
}

/** Every warning of the process with such a code. */
function warnings(t: TestContext, code: string): Error[] {
  const heard: Error[] = []
  const onWarning = (warning: Error & { code?: string }): void => {
    if (warning.code === code) heard.push(warning)
  }
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  return heard
}

/** Of the next messages with descriptors the kernel gives two and cuts the others off, as at a full table. */
function cutting(t: TestContext, times: number): void {
  let left = times
  fakeKernel(t, {
    recvmsg: (real, socket, data, flags, room) => {
      const bytes = real(socket, data, flags, left > 0 ? api.CMSG_SPACE(8) : room)
      if (bytes > 0) left--
      return bytes
    },
  })
}

test('it listens once the promise resolves, and arguments are checked at the call', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const wrong: [source: unknown, options: object, kind: typeof TypeError | typeof RangeError][] = [
    [5, {}, TypeError],
    ['other:x', {}, TypeError],
    [path, { mode: '600' }, TypeError],
    [path, { mode: 0o10000 }, RangeError],
    [path, { admit: 'root' }, TypeError],
    [path, { backlog: 0 }, RangeError],
    [path, { owner: { uid: -1, gid: 0 } }, RangeError],
    [path, { owner: 5 }, TypeError],
    [path, { signal: {} }, TypeError],
    [path, { singal: new AbortController().signal }, TypeError],
  ]
  for (const [source, options, kind] of wrong) {
    await assert.rejects(receiveBare(source as string, options), kind, JSON.stringify(options))
  }
  const reason = new Error('enough')
  await assert.rejects(receiveBare(path, { signal: AbortSignal.abort(reason) }), reason)
  const receiver = await receiveBare(path)
  t.after(() => receiver.close())
  assert.equal(receiver.address, path)
  await assert.rejects(receiveBare(path), error('EADDRINUSE'))
  for (const options of [{ timeout: -1 }, { timeout: '5' }, { signal: {} }, { wait: 5 }, null]) {
    await assert.rejects(receiver.receive(options as never), (thrown) => /Type|Range/.test((thrown as Error).name))
  }
})

test('what is sent comes in order, with its bytes, things and sender, and nothing is answered', async (t) => {
  noLeak(t)
  const receiver = await receiving(t)
  const socket = sender(t, receiver)
  const file = devNull(t)
  say(socket, 'one', [file])
  say(socket, 'two', [file, file])
  const [first, second] = [await taken(receiver), await taken(receiver)]
  assert.deepEqual([`${first.bytes}`, `${second.bytes}`], ['one', 'two'])
  assert.deepEqual([first.things.length, second.things.length], [1, 2])
  assert.equal(first.peer.pid, process.pid)
  for (const thing of [...first.things, ...second.things]) (thing as api.Descriptor).close()
  assert.equal(api.recvmsg(socket, 1), null)
})

test('a socket whose client resets while it waits is no error of the process', async (t) => {
  noLeak(t)
  const receiver = await receiving(t)
  const socket = sender(t, receiver)
  const [client, accepted] = await tcpPair(t, 4)
  give(socket, 'x', accepted)
  await turns(5)
  api.setsockopt(client, api.SOL_SOCKET, api.SO_LINGER, Buffer.from(Int32Array.of(1, 0).buffer))
  client.close() // a reset
  await turns(5)
  const { things } = await taken(receiver)
  const [thing] = things as [net.Socket]
  assert.ok(thing instanceof net.Socket, 'a connection that was reset is one still')
  const [failed] = await once(thing, 'error')
  assert.equal(failed.code, 'ECONNRESET')
})

test('datagrams that come while their socket waits are not lost', async (t) => {
  noLeak(t)
  const receiver = await receiving(t)
  const socket = sender(t, receiver)
  const udp = api.socket(api.AF_INET, api.SOCK_DGRAM)
  api.bind(udp, { address: '127.0.0.1', port: 0 })
  const to = api.getsockname(udp) as api.Address
  give(socket, 'x', udp)
  await turns(5)
  const from = api.socket(api.AF_INET, api.SOCK_DGRAM)
  t.after(() => from.close())
  api.sendmsg(from, Buffer.from('early'), undefined, 0, to)
  await turns(5)
  const [thing] = (await taken(receiver)).things as [dgram.Socket]
  assert.ok(thing instanceof dgram.Socket)
  t.after(() => thing.close())
  const [datagram] = await soon(once(thing, 'message'), 'the datagram')
  assert.equal(`${datagram}`, 'early')
})

test('of a message that lacks descriptors for want of room nothing is given, the log is told, and it goes on', async (t) => {
  noLeak(t)
  const receiver = await receiving(t)
  const warned = warnings(t, 'HANDOVER_REFUSED')
  cutting(t, 1)
  const socket = sender(t, receiver)
  const file = devNull(t)
  say(socket, 'cut', [file, file, file])
  say(socket, 'whole', [file])
  const { bytes, things } = await taken(receiver)
  assert.equal(`${bytes}`, 'whole')
  for (const thing of things) (thing as api.Descriptor).close()
  await until('a warning', () => warned.length === 1)
  assert.match(warned[0]?.message ?? '', new RegExp(`EMFILE.*process ${process.pid}.*ulimit`))
})

test('the same is an event where somebody listens to that, and an error of a connected socket, which goes on', async (t) => {
  noLeak(t)
  const warned = warnings(t, 'HANDOVER_REFUSED')
  cutting(t, 2)
  const file = devNull(t)
  const receiver = await receiving(t)
  const failed = once(receiver, 'failed')
  say(sender(t, receiver), 'cut', [file, file, file])
  const [who, why] = await failed
  assert.deepEqual([who.pid, why.code], [process.pid, 'EMFILE'])
  const [connected, socket] = await paired(t)
  say(socket, 'cut', [file, file, file])
  await assert.rejects(soon(connected.receive()), error('EMFILE', /recvmsg/, /ulimit/))
  say(socket, 'whole')
  assert.equal(`${(await taken(connected)).bytes}`, 'whole')
  assert.deepEqual(warned, [])
})

test('of descriptors of which one can become nothing all are closed: an event, or an error, and it goes on', async (t) => {
  noLeak(t)
  const receiver = await receiving(t)
  const [connected, socket] = await paired(t)
  const [near, far] = unixPair(t)
  const failed = once(receiver, 'failed')
  const from = sender(t, receiver)
  for (const one of [from, socket]) {
    say(one, 'x', [near, near])
    say(one, 'y')
  }
  near.close()
  let asked = 0
  fakeKernel(t, { identify: (real, ...args) => (++asked % 2 === 0 ? -5 : real(...args)) })
  assert.equal(`${(await taken(receiver)).bytes}`, 'y')
  assert.equal((await failed)[1].code, 'EIO')
  await assert.rejects(soon(connected.receive()), { code: 'EIO' })
  assert.equal(`${(await taken(connected)).bytes}`, 'y')
  await soon(api.readable(far))
  assert.equal(api.recvmsg(far, 1)?.data.length, 0, 'no copy is left')
})

test('a packet that is longer than the room is refused whole', async (t) => {
  noLeak(t)
  const [receiver, socket] = await paired(t, api.SOCK_SEQPACKET)
  const file = devNull(t)
  api.sendmsg(socket, Buffer.alloc(65_537), [api.rights([file])])
  say(socket, 'short')
  await assert.rejects(soon(receiver.receive()), error('EMSGSIZE'))
  assert.equal(`${(await taken(receiver)).bytes}`, 'short')
})

test('an empty datagram is no end, an empty packet is', async (t) => {
  noLeak(t)
  const [datagrams, one] = await paired(t, api.SOCK_DGRAM)
  say(one, '')
  say(one, 'x')
  assert.equal((await taken(datagrams)).bytes.length, 0)
  assert.equal(`${(await taken(datagrams)).bytes}`, 'x')
  const [packets, other] = await paired(t, api.SOCK_SEQPACKET)
  other.close()
  assert.equal(await soon(packets.receive()), null)
})

test('a sender that never stops leaves the event loop its turns', async (t) => {
  noLeak(t)
  const [receiver, socket] = await paired(t)
  let over = false
  let timers = 0
  const timer = setInterval(() => timers++, 1)
  t.after(() => clearInterval(timer))
  setTimeout(() => {
    over = true
  }, 100)
  let came = 0
  for (say(socket, 'x'); !over; say(socket, 'x')) {
    await taken(receiver)
    if (++came > 1_000_000) assert.fail('no timer ran')
  }
  assert.ok(timers > 5, `${timers} timers, ${came} messages`)
})

test('an abort wins over what waits, and what waits is closed', async (t) => {
  noLeak(t)
  const reason = new Error('enough')
  const given = new AbortController()
  const receiver = await receiving(t, { signal: given.signal })
  const file = devNull(t)
  say(sender(t, receiver), 'x', [file])
  await turns(5)
  await assert.rejects(receiver.receive({ signal: AbortSignal.abort(reason) }), (thrown) => thrown === reason)
  given.abort(reason)
  assert.equal(receiver.closed, true)
  await assert.rejects(receiver.receive(), (thrown) => thrown === reason)
  assert.equal(await receiver.receive(), null, 'it is told once')
})

test('a signal that is aborted before it listens leaves no socket behind', async (t) => {
  noLeak(t)
  const reason = new Error('enough')
  const path = join(scratch(t), 'socket')
  const given = new AbortController()
  const coming = receiveBare(path, { signal: given.signal })
  given.abort(reason)
  await assert.rejects(coming, (thrown) => thrown === reason)
  assert.equal(existsSync(path), false)
})

test('who waits when the signal is aborted gets its reason, and the path goes', async (t) => {
  noLeak(t)
  const reason = new Error('enough')
  const given = new AbortController()
  const receiver = await receiving(t, { signal: given.signal })
  const waiting = receiver.receive()
  given.abort(reason)
  await assert.rejects(waiting, (thrown) => thrown === reason)
  assert.throws(() => sender(t, receiver), error('ENOENT'))
})

test('a receive that is given up loses nothing', async (t) => {
  noLeak(t)
  const receiver = await receiving(t)
  const given = new AbortController()
  const first = receiver.receive({ signal: given.signal })
  given.abort()
  await assert.rejects(first, { name: 'AbortError' })
  await assert.rejects(receiver.receive({ timeout: 5 }), error('ERR_HANDOVER_TIMED_OUT', /nothing came.*5 ms/))
  say(sender(t, receiver), 'x')
  assert.equal(`${(await taken(receiver)).bytes}`, 'x')
})

test('senders beyond the limit wait in the kernel, and get in as others leave', async (t) => {
  noLeak(t)
  const receiver = await receiving(t)
  const before = socketCount()
  const crowd = Array.from({ length: BARE_SENDERS_MAX + 64 }, () => sender(t, receiver))
  await until('as many as may be', () => socketCount() - before - crowd.length >= BARE_SENDERS_MAX)
  const late = sender(t, receiver)
  say(late, 'late')
  await turns(10)
  assert.ok(socketCount() - before - crowd.length - 1 < BARE_SENDERS_MAX + 64, 'not many more')
  await assert.rejects(receiver.receive({ timeout: 20 }), error('ERR_HANDOVER_TIMED_OUT'))
  for (const one of crowd) one.close()
  assert.equal(`${(await taken(receiver)).bytes}`, 'late')
})

test('while many descriptors wait nothing more is read, and all come in the end', async (t) => {
  noLeak(t)
  const receiver = await receiving(t)
  const [near] = unixPair(t)
  const copies = Array.from({ length: 253 }, () => near)
  const senders = Array.from({ length: 8 }, () => sender(t, receiver))
  await turns(10)
  const before = socketCount()
  for (const one of senders) say(one, 'x', copies)
  await until('some wait', () => socketCount() - before >= BARE_DESCRIPTORS_MAX)
  await turns(10)
  assert.ok(socketCount() - before < BARE_DESCRIPTORS_MAX + 253, `${socketCount() - before} wait`)
  for (const _ of senders) for (const thing of (await taken(receiver)).things) (thing as net.Socket).destroy()
})

test('of a sender one message waits, and the others in the kernel, where the sender feels it', async (t) => {
  noLeak(t)
  const [receiver, socket] = await paired(t)
  const bytes = Buffer.alloc(32 * 1024)
  let sent = 0
  for (let idle = 0; idle < 10; ) {
    const some = api.sendmsg(socket, bytes)
    sent += some ?? 0
    idle = some === null ? idle + 1 : 0
    await turns(1)
  }
  assert.ok(sent < 4 * 1024 * 1024, 'it is held back')
  let came = 0
  while (came < sent) came += (await taken(receiver)).bytes.length
})

test('what is no connected UNIX socket is told at the call, and taken', async (t) => {
  noLeak(t)
  const closed = api.socket(api.AF_UNIX, api.SOCK_STREAM)
  closed.close()
  await assert.rejects(receiveBare(closed), { name: 'TypeError', message: /^source: an open Descriptor/ })
  const rows: [api.Descriptor, (thrown: unknown) => boolean][] = [
    [new api.Descriptor(openSync('/dev/null', 'r')), error('ENOTSOCK', /recvmsg/)],
    [api.socket(api.AF_UNIX, api.SOCK_STREAM), error('ENOTCONN')],
    [api.socket(api.AF_INET, api.SOCK_STREAM), (thrown) => thrown instanceof TypeError],
  ]
  for (const [descriptor, thrown] of rows) {
    await assert.rejects(receiveBare(descriptor), thrown)
    assert.equal(descriptor.fd, -1)
  }
})

test('an error of a connected socket is thrown, and ends it', async (t) => {
  noLeak(t)
  const [receiver, socket] = await paired(t)
  fakeKernel(t, { recvmsg: () => -104 })
  const waiting = receiver.receive()
  say(socket, 'x')
  await assert.rejects(soon(waiting), error('ECONNRESET'))
  assert.equal(receiver.closed, true)
  assert.equal(await receiver.receive(), null)
})

test('the end of a connected socket is the end, after all that came', async (t) => {
  noLeak(t)
  const [receiver, socket] = await paired(t)
  say(socket, 'last')
  socket.close()
  const came: string[] = []
  for await (const { bytes } of receiver) came.push(`${bytes}`)
  assert.deepEqual(came, ['last'])
  assert.equal(receiver.closed, true)
})

test('a listening Descriptor is taken, and its path stays', async (t) => {
  noLeak(t)
  const path = join(scratch(t), 'socket')
  const socket = api.socket(api.AF_UNIX, api.SOCK_STREAM)
  api.bind(socket, { path })
  api.listen(socket)
  const receiver = await receiveBare(socket)
  t.after(() => receiver.close())
  assert.deepEqual([socket.fd, receiver.address], [-1, path])
  say(sender(t, receiver), 'x')
  assert.equal(`${(await taken(receiver)).bytes}`, 'x')
  receiver.close()
  assert.throws(() => sender(t, receiver), error('ECONNREFUSED'))
})

test('a loop that is left while it waits ends at once, and what comes is the next one’s', async (t) => {
  noLeak(t)
  const receiver = await receiving(t)
  const loop = receiver[Symbol.asyncIterator]()
  const waiting = loop.next()
  assert.deepEqual(await soon(loop.return?.() as Promise<unknown>), { done: true, value: undefined })
  assert.deepEqual(await soon(waiting), { done: true, value: undefined })
  assert.deepEqual(await loop.next(), { done: true, value: undefined })
  assert.equal(receiver.closed, false)
  say(sender(t, receiver), 'x')
  for await (const { bytes } of receiver) {
    assert.equal(`${bytes}`, 'x')
    break
  }
  assert.equal(receiver.closed, false, 'leaving the loop leaves it open')
})

test('closing ends what waits: calls, senders, descriptors, the path', async (t) => {
  noLeak(t)
  const receiver = await receiving(t)
  const [near, far] = unixPair(t)
  const socket = sender(t, receiver)
  give(socket, 'x', near)
  await turns(10)
  const other = await receiving(t)
  const waiting = [other.receive(), other.receive()]
  const told = once(receiver, 'close')
  receiver.close()
  receiver.close()
  other[Symbol.dispose]()
  assert.deepEqual(await soon(Promise.all(waiting)), [null, null])
  assert.equal(await receiver.receive(), null)
  await soon(told)
  await soon(api.readable(far))
  assert.equal(api.recvmsg(far, 1)?.data.length, 0, 'the last copy was closed')
  assert.equal(api.recvmsg(socket, 1)?.data.length, 0)
  assert.throws(() => sender(t, receiver), error('ENOENT'))
})

test('a stranger is refused before a byte is read: an event, or a warning', ROOT, async (t) => {
  noLeak(t)
  const receiver = await receiveBare(openPath(t), { mode: 0o666 })
  t.after(() => receiver.close())
  const warned = warnings(t, 'HANDOVER_STRANGER')
  const first = peer(t, 'silent', receiver.address, { user: STRANGER })
  assert.equal(await first.hears('end'), 0)
  await until('a warning', () => warned.length === 1)
  assert.match(warned[0]?.message ?? '', new RegExp(`^${receiver.address}: process ${first.pid} of user ${STRANGER}`))
  const refused = once(receiver, 'refused')
  const second = peer(t, 'silent', receiver.address, { user: STRANGER })
  const [who, reason] = await refused
  assert.deepEqual(who, { pid: second.pid, uid: STRANGER, gid: STRANGER })
  assert.match(reason, /is not let in/)
  assert.equal(warned.length, 1)
})

test('rules hold for a connected socket, too', async (t) => {
  noLeak(t)
  const [ours] = unixPair(t)
  await assert.rejects(receiveBare(ours, { admit: { uids: [] } }), error('ERR_HANDOVER_STRANGER', /at the other end/))
  assert.equal(ours.fd, -1)
})

test('an admission that closes the receiver leaves nothing open', async (t) => {
  noLeak(t)
  const receiver: BareReceiver = await receiving(t, {
    admit: () => {
      receiver.close()
      return true
    },
  })
  const socket = sender(t, receiver)
  await soon(api.readable(socket))
  assert.equal(api.recvmsg(socket, 1)?.data.length, 0)
})

test('unref lets the process end, with senders connected and calls waiting', async (t) => {
  const code = `
    const { receiveBare } = await import('${root}/dist/src/index.js')
    const net = await import('node:net')
    const receiver = await receiveBare(process.argv[1])
    const client = net.connect(process.argv[1]).unref()
    client.on('connect', () => {
      client.write('x')
      receiver.receive().then(({ bytes }) => {
        receiver.receive()
        receiver.unref()
        console.log(String(bytes))
      })
    })`
  const run = command(t, process.execPath, ['--input-type=module', '-e', code, join(scratch(t), 'socket')])
  assert.equal(await soon(run.ended), 0, run.said())
  assert.match(run.said(), /x/)
})
