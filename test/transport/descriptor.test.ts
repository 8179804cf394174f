import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { closeSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import net from 'node:net'
import test from 'node:test'
import { kindOf } from '../../src/channel/kinds.js'
import '../../src/index.js'
import { AF_UNIX, Descriptor, SOCK_DGRAM, SOCK_SEQPACKET, socketpair } from '../../src/sendmsg/index.js'
import { ListeningPort } from '../../src/transport/listening-port.js'
import { descriptorKind } from '../../src/transport/plain-descriptor.js'
import { Transport } from '../../src/transport/transport.js'
import { marked } from '../support/control.js'
import { noLeak, openDescriptors } from '../support/descriptors.js'
import { arrivalOf, handCopy, handOver } from '../support/parcels.js'

test('anything with a descriptor arrives as a Descriptor, and is closed here when the other side has it', async (t) => {
  noLeak(t)
  for (const path of ['/tmp', '/dev/null']) {
    const adopted = (await handOver(descriptorKind, new Descriptor(openSync(path, 'r')))) as Descriptor
    assert.equal(openDescriptors().get(adopted.fd), path)
    adopted.close()
  }
  for (const type of [SOCK_DGRAM, SOCK_SEQPACKET]) {
    const [one, other] = socketpair(AF_UNIX, type)
    const adopted = (await handOver(descriptorKind, one)) as Descriptor
    assert.equal(one.fd, -1)
    adopted.close()
    other.close()
  }
})

test('a number is taken when the other side has it, and not before', async (t) => {
  noLeak(t)
  const [thing] = marked(t)
  const number = (thing as { near: Descriptor }).near.release()
  const parcel = await descriptorKind.release(number, { flushTimeout: 0 })
  parcel.restored()
  assert.ok(openDescriptors().has(number))
  const adopted = (await handOver(descriptorKind, number)) as Descriptor
  assert.equal(openDescriptors().has(number), false)
  assert.equal(thing?.isGone(), false)
  adopted.close()
  assert.equal(thing?.isGone(), true)
})

test('whoever closes a descriptor on its way sends the right file, and loses no other that has its number by then', async (t) => {
  noLeak(t)
  const number = openSync('/dev/null', 'r')
  const parcel = await descriptorKind.release(number, { flushTimeout: 0 })
  closeSync(number)
  const other = openSync('/tmp', 'r')
  assert.equal(other, number)
  const arrived = arrivalOf(parcel)
  parcel.claimed()
  assert.equal(openDescriptors().get(arrived.descriptors[0] as number), '/dev/null')
  assert.equal(openDescriptors().get(other), '/tmp')
  ;((await descriptorKind.adopt(arrived)) as Descriptor).close()
  closeSync(other)
})

test('a shared descriptor stays open here', async (t) => {
  noLeak(t)
  const [one, other] = socketpair()
  const copy = (await handCopy(descriptorKind, one)) as Descriptor
  assert.ok(one.fd >= 0)
  for (const each of [one, other, copy]) each.close()
})

test('what is closed, on its way, or no descriptor, is refused', async (t) => {
  noLeak(t)
  const [one, other] = socketpair()
  const release = (thing: Descriptor | number) => descriptorKind.release(thing, { flushTimeout: 0 })
  const parcel = await release(one)
  assert.throws(() => release(one), /on its way already/)
  one.close()
  parcel.claimed()
  for (const thing of [one, -1, 1.5, Number.NaN])
    assert.throws(() => release(thing), { code: 'ERR_HANDOVER_NOT_MOVABLE' })
  assert.throws(() => release(999_999), { code: 'EBADF' })
  other.close()
})

test('every kind recognises its own things and no other', async (t) => {
  noLeak(t)
  const file = await open('/dev/null')
  const [one, other] = socketpair()
  const [near, far] = socketpair()
  const transport = new Transport(near.release(), { type: 'unix' }, Buffer.alloc(0))
  const port = ListeningPort.open({ host: '127.0.0.1', port: 0 })
  const udp = dgram.createSocket('udp4')
  const things: [unknown, string | undefined][] = [
    [new net.Socket(), 'connection'],
    [transport, 'connection'],
    [net.createServer(), 'server'],
    [port, 'port'],
    [udp, 'datagram'],
    [file, 'file'],
    [one, 'descriptor'],
    [5, 'descriptor'],
    [{ fd: 5 }, undefined],
    [null, undefined],
    ['5', undefined],
  ]
  for (const [thing, name] of things) assert.equal(kindOf(thing)?.name, name)
  for (const each of [one, other, far, transport, port, udp]) each.close()
  await file.close()
})
