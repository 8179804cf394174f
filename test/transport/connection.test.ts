import assert from 'node:assert/strict'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import type net from 'node:net'
import test from 'node:test'
import type { Parcel } from '../../src/channel/kinds.js'
import { descriptorOfSocket } from '../../src/runtime/node-sockets.js'
import { IPPROTO_TCP, SO_KEEPALIVE, SO_LINGER, SOL_SOCKET, TCP_NODELAY } from '../../src/syscalls/constants.js'
import { close } from '../../src/syscalls/descriptor.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { getsockoptInt } from '../../src/syscalls/sockopt.js'
import { connectionKind } from '../../src/transport/connection.js'
import { collect, connection, ended, type Over } from '../support/connections.js'
import { hasIpv6 } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'
import { arrivalOf, handOver } from '../support/parcels.js'
import { until } from '../support/wait.js'

const ways: Over[] = ['IPv4', 'UNIX', ...(hasIpv6 ? (['IPv6'] as const) : [])]

const release = (socket: net.Socket, flushTimeout = 5_000): Parcel => {
  const parcel = connectionKind.release(socket, { flushTimeout })
  assert.ok(!(parcel instanceof Promise), 'a socket without output is released at once')
  return parcel
}

/** Numbered lines: whatever is lost, doubled or reordered shows. */
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, index) => `${from + index}\n`.padStart(9, '0')).join('')

for (const over of ways) {
  test(`however often a connection moves while bytes come, none is lost, doubled or reordered: ${over}`, async (t) => {
    noLeak(t)
    const { client, socket } = await connection(t, over)
    const sent = lines(0, 100_000)
    let at = 0
    const sending = new Promise<void>((resolve) => {
      const more = (): void => {
        if (at >= sent.length) return resolve()
        at += 4_567
        client.write(sent.slice(at - 4_567, at), () => setImmediate(more))
      }
      more()
    })
    let received = ''
    let here = socket
    for (let hop = 0; received.length < sent.length; hop++) {
      const chunk = (here.read() as Buffer | null)?.toString()
      received += chunk ?? ''
      if (chunk === undefined && here.readableLength === 0) await once(here, 'readable')
      // some are moved with bytes read and undelivered, some with none, some stay
      if (hop % 7 === 0) release(here).restored()
      if (hop % 3 === 0) here = ended(t, (await handOver(connectionKind, here)) as net.Socket)
    }
    await sending
    assert.ok(received === sent)
    here.destroy()
    client.destroy()
  })

  test(`an adopted connection is like Node's own: ${over}`, async (t) => {
    noLeak(t)
    const { client, socket } = await connection(t, over)
    const names = ['remoteAddress', 'remotePort', 'remoteFamily', 'localAddress', 'localPort', 'localFamily'] as const
    const before = names.map((name) => socket[name])
    const adopted = ended(t, (await handOver(connectionKind, socket)) as net.Socket)
    assert.deepEqual(
      names.map((name) => adopted[name]),
      before,
    )
    assert.equal(adopted.readyState, 'open')
    const { text } = collect(client)
    const sent = lines(0, 500_000)
    client.pause()
    assert.equal(adopted.write(sent), false, 'back-pressure')
    adopted.end('the end')
    client.resume()
    await once(client, 'end')
    assert.ok(text() === `${sent}the end`, 'in order')
    adopted.resume()
    client.end()
    const [hadError] = await once(adopted, 'close')
    assert.equal(hadError, false)
  })

  test(`the peer sees no end when the sender's copy goes, and the sender's socket closes without an error: ${over}`, async (t) => {
    noLeak(t)
    const { client, socket } = await connection(t, over)
    const peer = collect(client)
    const parcel = release(socket)
    const arrived = arrivalOf(parcel)
    const closed = once(socket, 'close')
    parcel.claimed()
    assert.equal((await closed)[0], false)
    assert.equal(socket.destroyed, true)
    const adopted = ended(t, connectionKind.adopt(arrived) as net.Socket)
    adopted.write('still there')
    await until('the peer hears of it', () => peer.text() === 'still there')
    assert.equal(peer.ended, false)
  })
}

test('what comes while a connection is away waits in the kernel, and is read by whoever has it in the end', async (t) => {
  noLeak(t)
  for (const settled of ['restored', 'claimed'] as const) {
    const { client, socket } = await connection(t)
    const here = collect(socket)
    client.write('before ')
    await until('the first bytes', () => here.text() === 'before ')
    const parcel = release(socket)
    socket.resume() // wakes nothing
    client.write('while away')
    const arrived = arrivalOf(parcel)
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(here.text(), 'before ')
    parcel[settled]()
    if (settled === 'restored') {
      for (const descriptor of arrived.descriptors) close(descriptor)
      await until('the rest', () => here.text() === 'before while away')
    } else {
      const there = collect(ended(t, connectionKind.adopt(arrived) as net.Socket))
      await until('the rest', () => there.text() === 'while away')
    }
  }
})

test('a connection that comes back goes on as it was: flowing, paused, or read piece by piece', async (t) => {
  noLeak(t)
  const flowing = await connection(t)
  const heard = collect(flowing.socket)
  const events: string[] = []
  for (const name of ['pause', 'resume', 'end', 'close', 'drain']) flowing.socket.on(name, () => events.push(name))
  flowing.socket.resume()
  await until('it flows', () => flowing.socket.readableFlowing === true)
  flowing.client.write('a')
  await until('a', () => heard.text() === 'a')
  events.length = 0
  for (const letter of 'bcd') {
    const parcel = release(flowing.socket)
    flowing.client.write(letter)
    parcel.restored()
    await until(letter, () => heard.text().endsWith(letter))
  }
  assert.equal(heard.text(), 'abcd')
  assert.deepEqual(events, [])

  const paused = await connection(t)
  paused.client.write('kept for later')
  await until('bytes are read', () => paused.socket.readableLength === 14)
  const parcel = release(paused.socket)
  assert.equal(Buffer.from(parcel.bytes as Uint8Array).toString(), 'kept for later')
  parcel.restored()
  assert.equal(paused.socket.readableDidRead, false)
  assert.equal(paused.socket.readableLength, 14)
  assert.equal(paused.socket.isPaused(), false)
  assert.equal(paused.socket.read(4)?.toString(), 'kept')
  assert.equal(paused.socket.read()?.toString(), ' for later')

  const pieces = await connection(t)
  let text = ''
  const iterated = (async () => {
    for await (const chunk of pieces.socket) text += chunk
  })()
  for (const word of ['one ', 'two ', 'three ']) {
    const parcel = release(pieces.socket)
    pieces.client.write(word)
    parcel.restored()
    await until(word, () => text.endsWith(word))
  }
  pieces.client.end()
  await iterated
  assert.equal(text, 'one two three ')
})

test('an end that was read already is read again, behind the bytes, by whoever has the connection', async (t) => {
  noLeak(t)
  for (const settled of ['restored', 'claimed'] as const) {
    const { client, socket } = await connection(t, 'IPv4', { allowHalfOpen: true })
    client.end('last words')
    await until('the end is read', () => socket.readableLength === 10 && inside(socket).ended)
    const parcel = release(socket)
    const arrived = arrivalOf(parcel)
    parcel[settled]()
    if (settled === 'restored') for (const descriptor of arrived.descriptors) close(descriptor)
    const here = settled === 'restored' ? socket : ended(t, connectionKind.adopt(arrived) as net.Socket)
    const heard = collect(here)
    await until('the end', () => heard.ended)
    assert.equal(heard.text(), 'last words')
    here.end('answer')
    const answer = collect(client)
    await until('the answer', () => answer.ended)
    assert.equal(answer.text(), 'answer')
  }
})

const inside = (socket: net.Socket): { ended: boolean } =>
  (socket as unknown as { _readableState: { ended: boolean } })._readableState

test('half of a connection moves as half of one', async (t) => {
  noLeak(t)
  const ours = await connection(t, 'IPv4', { allowHalfOpen: true })
  ours.socket.end('my last')
  await once(ours.socket, 'finish')
  const reader = ended(t, (await handOver(connectionKind, ours.socket)) as net.Socket)
  assert.equal(reader.writable, false)
  const heard = collect(reader)
  ours.client.end('yours')
  await once(reader, 'close')
  assert.equal(heard.text(), 'yours')

  const theirs = await connection(t, 'IPv4', { allowHalfOpen: true })
  theirs.client.end('bye')
  await once(theirs.socket.resume(), 'end')
  const writer = ended(t, (await handOver(connectionKind, theirs.socket)) as net.Socket)
  assert.equal(writer.readable, false)
  assert.equal(writer.allowHalfOpen, true)
  const answer = collect(theirs.client)
  writer.end('answer')
  await once(writer, 'close')
  await until('the answer', () => answer.ended)
  assert.equal(answer.text(), 'answer')
})

test('what is written, ended or destroyed while a connection is away waits, and happens in order when it is back', async (t) => {
  noLeak(t)
  const { client, socket } = await connection(t)
  const heard = collect(client)
  const parcel = release(socket)
  socket.write('one ')
  socket.write('two ')
  socket.end('three')
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(heard.text(), '')
  parcel.restored()
  await until('the end', () => heard.ended)
  assert.equal(heard.text(), 'one two three')

  const other = await connection(t)
  const gone = collect(other.client)
  const away = release(other.socket)
  other.socket.destroy()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(gone.ended, false)
  const closed = once(other.socket, 'close')
  away.restored()
  await closed
  await until('the end', () => gone.ended)
})

test('what is written while a connection is away fails when it stays away, and the peer sees nothing of it', async (t) => {
  noLeak(t)
  const { client, socket } = await connection(t)
  const heard = collect(client)
  const parcel = release(socket)
  const failed = new Promise((resolve) => socket.write('too late', resolve))
  socket.end()
  const arrived = arrivalOf(parcel)
  const closed = once(socket, 'close')
  parcel.claimed()
  assert.ok((await failed) instanceof Error)
  assert.equal((await closed)[0], false)
  const adopted = ended(t, connectionKind.adopt(arrived) as net.Socket)
  adopted.end('from the other')
  await until('the end', () => heard.ended)
  assert.equal(heard.text(), 'from the other')
})

test('a socket that is destroyed or reset while it is away leaves the connection to the other side', async (t) => {
  noLeak(t)
  for (const how of ['destroy', 'resetAndDestroy'] as const) {
    const { client, socket } = await connection(t)
    const heard = collect(client)
    const parcel = release(socket)
    const closed = once(socket, 'close')
    socket[how]()
    const arrived = arrivalOf(parcel)
    parcel.claimed()
    await closed
    const adopted = ended(t, connectionKind.adopt(arrived) as net.Socket)
    assert.equal(
      getsockoptInt(descriptorOfSocket(adopted), SOL_SOCKET, SO_LINGER),
      0,
      'it will not be reset on closing',
    )
    adopted.end('alive')
    await until('the end', () => heard.ended)
    assert.equal(heard.text(), 'alive')
  }
})

test('output that is not sent yet is waited for, and nothing of it is lost', async (t) => {
  noLeak(t)
  const { client, socket } = await connection(t)
  const sent = lines(0, 1_000_000)
  assert.equal(socket.write(sent), false)
  assert.throws(() => connectionKind.release(socket, { flushTimeout: 0 }), {
    code: 'ERR_HANDOVER_NOT_MOVABLE',
    message: /bytes of output are still in this process: wait until they are sent/,
  })
  await assert.rejects(Promise.resolve(connectionKind.release(socket, { flushTimeout: 20 })), {
    code: 'ERR_HANDOVER_NOT_MOVABLE',
    message: /after 20 ms/,
  })
  assert.equal(socket.destroyed, false, 'it is as before')
  const moving = handOver(connectionKind, socket)
  const heard = collect(client)
  const adopted = ended(t, (await moving) as net.Socket)
  adopted.end('more')
  await until('the end', () => heard.ended)
  assert.ok(heard.text() === `${sent}more`)
})

test('a time limit does not run while a connection is away, and moves along', async (t) => {
  noLeak(t)
  const { socket } = await connection(t)
  let timeouts = 0
  socket.setTimeout(20, () => timeouts++)
  const parcel = release(socket)
  const arrived = arrivalOf(parcel)
  await new Promise((resolve) => setTimeout(resolve, 60)) // a limit that ran would be over
  assert.equal(timeouts, 0)
  parcel.restored()
  await once(socket, 'timeout')
  assert.equal(timeouts, 1)
  const adopted = ended(t, connectionKind.adopt(arrived) as net.Socket)
  assert.equal(adopted.timeout, 20)
  await once(adopted, 'timeout')
})

test('what Node knows of the options of a socket moves along, so that they can be unset', async (t) => {
  noLeak(t)
  const { socket } = await connection(t)
  socket.setNoDelay(true).setKeepAlive(true, 30_000)
  const adopted = ended(t, (await handOver(connectionKind, socket)) as net.Socket)
  const option = (level: number, name: number): number => getsockoptInt(descriptorOfSocket(adopted), level, name)
  assert.notEqual(option(IPPROTO_TCP, TCP_NODELAY), 0)
  adopted.setNoDelay(false).setKeepAlive(false)
  assert.equal(option(IPPROTO_TCP, TCP_NODELAY), 0)
  assert.equal(option(SOL_SOCKET, SO_KEEPALIVE), 0)
})

test('a client that goes while its connection is away is closed quietly, on either side', async (t) => {
  noLeak(t)
  for (const settled of ['restored', 'claimed'] as const) {
    const { client, socket } = await connection(t)
    const errors: unknown[] = []
    const parcel = release(socket)
    client.resetAndDestroy()
    await once(client, 'close')
    const arrived = arrivalOf(parcel)
    parcel[settled]()
    if (settled === 'restored') for (const descriptor of arrived.descriptors) close(descriptor)
    const here = settled === 'restored' ? socket : (connectionKind.adopt(arrived) as net.Socket)
    here.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code))
    here.resume()
    await new Promise((resolve) => here.once('close', resolve))
    assert.deepEqual(errors, ['ECONNRESET'], 'as any connection that is reset')
  }
})

test('a descriptor that is not what its details say is refused and closed, and so are details that say nothing', async (t) => {
  noLeak(t)
  const bytes = Buffer.alloc(0)
  for (const type of ['tcp', 'unix', 'pipe', 'tty']) {
    assert.throws(() => connectionKind.adopt({ descriptors: [openSync('/dev/null', 'r')], details: { type }, bytes }), {
      code: 'ERR_HANDOVER_IDENTITY',
    })
  }
  const [one, other] = socketpair()
  assert.throws(() => connectionKind.adopt({ descriptors: [one], details: { type: 'tcp' }, bytes }), {
    code: 'ERR_HANDOVER_IDENTITY',
  })
  for (const details of [undefined, null, 5, [], {}, { type: 'sctp' }]) {
    assert.throws(() => connectionKind.adopt({ descriptors: [openSync('/dev/null', 'r')], details, bytes }), {
      code: 'ERR_HANDOVER_BAD_FRAME',
    })
  }
  assert.throws(() => connectionKind.adopt({ descriptors: [], details: { type: 'unix' }, bytes }), {
    code: 'ERR_HANDOVER_DESCRIPTORS_MISSING',
  })
  close(other)
})
