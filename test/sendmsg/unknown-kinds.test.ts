/** Control messages that have no codec here, or none in the kernel: passed on as they are, both ways. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import {
  CMSG_LEN,
  credentials,
  IP_RECVORIGDSTADDR,
  IPPROTO_IP,
  IPPROTO_TCP,
  recvmsg,
  rights,
  SCM_TIMESTAMP,
  SO_RXQ_OVFL,
  SOL_SOCKET,
  sendmmsg,
  sendmsg,
  setsockopt,
} from '../../src/sendmsg/index.js'
import { arrival, assertGone, marked, receive, tcpPair, udpPair, unixKinds, unixPair } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'

const byte = Buffer.from('x')

test('a kind that the kernel does not know is refused or ignored by it, and the socket goes on working', async (t) => {
  noLeak(t)
  const pairs = [...unixKinds.map(({ type }) => unixPair(t, type)), udpPair(t, 4)]
  for (const [from, to] of pairs) {
    for (const [level, type, length] of [
      [SOL_SOCKET, 0x7777, 4],
      [SOL_SOCKET, SCM_TIMESTAMP, 16],
      [SOL_SOCKET, -1, 0],
    ] as const) {
      assert.throws(() => sendmsg(from, byte, [[level, type, Buffer.alloc(length)]]), { code: 'EINVAL' })
    }
    for (const length of [0, 1, 4, 1000]) {
      assert.equal(sendmsg(from, byte, [[0x1234, 1, Buffer.alloc(length)]]), 1)
      assert.deepEqual((await arrival(to)).ancillary, [])
    }
    assert.equal(recvmsg(to), null)
  }
})

test('more control data than the kernel takes is ENOBUFS, and the socket goes on working', (t) => {
  noLeak(t)
  const [from, to] = unixPair(t)
  const most = Number(readFileSync('/proc/sys/net/core/optmem_max', 'utf8'))
  const all = Buffer.alloc(65_536 - CMSG_LEN(0))
  if (most < 65_536) assert.throws(() => sendmsg(from, byte, [[0x1234, 1, all]]), { code: 'ENOBUFS' })
  else assert.equal(sendmsg(from, byte, [[0x1234, 1, all]]), 1)
  assert.throws(() => sendmsg(from, byte, [[0x1234, 1, Buffer.alloc(all.length + 1)]]), { name: 'RangeError' })
  assert.equal(sendmsg(from, byte), 1)
  assert.ok(receive(to).data.length >= 1)
})

test('kinds that have no codec are given raw: IP_RECVORIGDSTADDR, SO_RXQ_OVFL, TCP_INQ', async (t) => {
  noLeak(t)
  const [from, to] = udpPair(t, 4)
  setsockopt(to, 'IP_RECVORIGDSTADDR', true)
  setsockopt(to, 'SO_RXQ_OVFL', true)
  setsockopt(to, 'SO_RCVBUF', 2048)
  for (let i = 0; i < 200; i++) sendmsg(from, Buffer.alloc(100))
  let taken = 0
  for (let message = recvmsg(to); message !== null; message = recvmsg(to)) taken++
  assert.equal(sendmsg(from, byte), 1)
  let message = await arrival(to)
  for (; message.data.length > 1; message = await arrival(to)) taken++
  const { ancillary } = message
  const [original, dropped] = [
    ancillary.find(([level, type]) => level === IPPROTO_IP && type === IP_RECVORIGDSTADDR),
    ancillary.find(([level, type]) => level === SOL_SOCKET && type === SO_RXQ_OVFL),
  ]
  assert.ok(original && dropped)
  assert.equal(original[2].subarray(4, 8).join('.'), '127.0.0.1')
  assert.deepEqual(dropped[2], Buffer.from(Uint32Array.of(200 - taken).buffer))

  const TCP_INQ = 36 // bytes that wait behind what is received, Linux 4.18
  const [client, server] = await tcpPair(t, 4)
  setsockopt(server, IPPROTO_TCP, TCP_INQ, 1)
  assert.equal(sendmsg(client, Buffer.alloc(10)), 10)
  assert.deepEqual((await arrival(server, 100, 4)).ancillary, [
    [IPPROTO_TCP, TCP_INQ, Buffer.from(Int32Array.of(6).buffer)],
  ])
})

test('over UDP descriptors are refused, and credentials ignored by the kernel', async (t) => {
  noLeak(t)
  const [from, to] = udpPair(t, 4)
  const things = marked(t)
  const passed = rights(things.map(({ near }) => near))
  assert.throws(() => sendmsg(from, byte, [passed]), /^RangeError: socket: .*AF_UNIX/)
  assert.throws(() => sendmmsg(from, [{ data: byte }, { data: byte, ancillary: [passed] }]), /^RangeError: socket: /)
  for (const { near } of things) near.close()
  assertGone(things)
  assert.equal(sendmsg(from, byte, [credentials({})]), 1)
  const message = await arrival(to)
  assert.deepEqual([`${message.data}`, message.ancillary, message.flags], ['x', [], 0])
})
