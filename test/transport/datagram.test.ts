import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import test, { type TestContext } from 'node:test'
import { close, dup } from '../../src/syscalls/descriptor.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { datagramKind } from '../../src/transport/datagram.js'
import { hasIpv6, loopback, type Version } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'
import { arrivalOf, handCopy, handOver } from '../support/parcels.js'
import { until } from '../support/wait.js'

const versions: Version[] = hasIpv6 ? [4, 6] : [4]

/** A bound socket, closed with the test. */
async function bound(t: TestContext, version: Version = 4): Promise<dgram.Socket> {
  const socket = dgram.createSocket(`udp${version}`)
  closing(t, socket)
  socket.bind(0, loopback[version])
  await once(socket, 'listening')
  return socket
}

function closing(t: TestContext, socket: dgram.Socket): dgram.Socket {
  t.after(() => {
    try {
      socket.close()
    } catch {
      // the test has closed it
    }
  })
  return socket
}

function heardBy(socket: dgram.Socket): string[] {
  const heard: string[] = []
  socket.on('message', (message) => heard.push(message.toString()))
  return heard
}

for (const version of versions) {
  test(`a bound socket moves with the datagrams that wait in it: IPv${version}`, async (t) => {
    noLeak(t)
    const socket = await bound(t, version)
    const place = socket.address()
    const sender = await bound(t, version)
    const here = heardBy(socket)
    const parcel = await datagramKind.release(socket, { flushTimeout: 0 })
    for (const word of ['one', 'two']) sender.send(word, place.port, loopback[version])
    await until('they are sent', () => sender.getSendQueueCount() === 0)
    const arrived = arrivalOf(parcel)
    const closed = once(socket, 'close')
    parcel.claimed()
    await closed
    const adopted = closing(t, (await datagramKind.adopt(arrived)) as dgram.Socket)
    const there = heardBy(adopted)
    await until('both', () => there.length === 2)
    assert.deepEqual([here, there], [[], ['one', 'two']])
    assert.deepEqual(adopted.address(), place)
    assert.throws(() => adopted.remoteAddress(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' })
    const back = heardBy(sender)
    adopted.send('back', sender.address().port, loopback[version])
    await until('the answer', () => back.length === 1)
  })

  test(`a connected socket stays connected: IPv${version}`, async (t) => {
    noLeak(t)
    const peer = await bound(t, version)
    const socket = await bound(t, version)
    socket.connect(peer.address().port, loopback[version])
    await once(socket, 'connect')
    const adopted = closing(t, (await handOver(datagramKind, socket)) as dgram.Socket)
    assert.deepEqual(adopted.remoteAddress(), peer.address())
    const heard = heardBy(peer)
    adopted.send('without an address')
    await until('it arrives', () => heard.length === 1)
    adopted.disconnect()
    adopted.send('with one', peer.address().port, loopback[version])
    await until('it arrives', () => heard.length === 2)
  })
}

test('a socket that comes back receives what came meanwhile, and one that was closed meanwhile stays closed', async (t) => {
  noLeak(t)
  const socket = await bound(t)
  const sender = await bound(t)
  const heard = heardBy(socket)
  const parcel = await datagramKind.release(socket, { flushTimeout: 0 })
  assert.throws(() => datagramKind.release(socket, { flushTimeout: 0 }), /on its way already/)
  const sent = new Promise((resolve) => sender.send('x', socket.address().port, loopback[4], resolve))
  await sent
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(heard, [])
  parcel.restored()
  await until('it is heard', () => heard.length === 1)
  for (const settled of ['restored', 'claimed'] as const) {
    const other = await bound(t)
    const away = await datagramKind.release(other, { flushTimeout: 0 })
    other.close()
    away[settled]()
  }
})

test('a shared socket is open on both sides', async (t) => {
  noLeak(t)
  const socket = await bound(t)
  const copy = closing(t, (await handCopy(datagramKind, socket)) as dgram.Socket)
  assert.deepEqual(copy.address(), socket.address())
  const heard = [...[heardBy(socket), heardBy(copy)]]
  const sender = await bound(t)
  for (let i = 0; i < 10; i++) sender.send('x', socket.address().port, loopback[4])
  await until('all are heard by one or the other', () => heard.flat().length === 10)
})

test('a socket that is not bound, or is being connected, is refused', async (t) => {
  noLeak(t)
  const socket = closing(t, dgram.createSocket('udp4'))
  const release = () => datagramKind.release(socket, { flushTimeout: 0 })
  assert.throws(release, { code: 'ERR_HANDOVER_NOT_MOVABLE', message: /wait for 'listening'$/ })
  socket.connect(9, '127.0.0.1')
  assert.throws(release, { code: 'ERR_HANDOVER_NOT_MOVABLE' })
  await once(socket, 'connect')
  await handOver(datagramKind, socket).then((adopted) => adopted.close())
})

test('what is in this process still is waited for', async (t) => {
  noLeak(t)
  const socket = await bound(t)
  let left = 1
  socket.getSendQueueCount = () => left
  assert.throws(() => datagramKind.release(socket, { flushTimeout: 0 }), {
    message: '1 datagrams are still in this process: wait for the callbacks of send',
  })
  await assert.rejects(async () => datagramKind.release(socket, { flushTimeout: 10 }), /after 10 ms/)
  const parcel = datagramKind.release(socket, { flushTimeout: 10_000 })
  left = 0
  ;(await parcel).restored()
})

test('a descriptor that is no UDP socket is refused and closed', (t) => {
  noLeak(t)
  const [one, other] = socketpair()
  for (const descriptor of [openSync('/dev/null', 'r'), one, dup(other)]) {
    assert.throws(() => datagramKind.adopt({ descriptors: [descriptor], details: undefined, bytes: Buffer.alloc(0) }), {
      code: 'ERR_HANDOVER_IDENTITY',
    })
  }
  close(other)
})
