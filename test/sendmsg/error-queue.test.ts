/** The error queue of a socket, read with MSG_ERRQUEUE: what became of datagrams and of bytes that were not copied. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import {
  type AddressLike,
  CMSG_LEN,
  CMSG_SPACE,
  connect,
  type Descriptor,
  type ExtendedError,
  ipRecverr,
  ipv6Recverr,
  MSG_CTRUNC,
  MSG_ERRQUEUE,
  MSG_TRUNC,
  MSG_ZEROCOPY,
  recvmsg,
  type SyscallError,
  sendmsg,
  setsockopt,
} from '../../src/sendmsg/index.js'
import { arrival, IPV6, type Pair, tcpPair, udpPair, udpSocket } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'

const versions = [
  { version: 4, skip: false, option: 'IP_RECVERR', codec: ipRecverr, bytes: 16 + 16 },
  { version: 6, skip: IPV6.skip, option: 'IPV6_RECVERR', codec: ipv6Recverr, bytes: 16 + 28 },
] as const

/** A UDP socket that hears of errors, and an address where nobody is. */
function facingNobody(t: TestContext, { version, option }: (typeof versions)[number]): [Descriptor, AddressLike] {
  const { socket: gone, address } = udpSocket(t, version)
  gone.close()
  const { socket } = udpSocket(t, version)
  setsockopt(socket, option, true)
  return [socket, address]
}

for (const each of versions) {
  const { version, skip, codec } = each
  const title = `IPv${version}`
  const refused: ExtendedError = {
    code: 'ECONNREFUSED',
    errno: -111,
    origin: version === 4 ? 'icmp' : 'icmp6',
    icmpType: version === 4 ? 3 : 1,
    icmpCode: version === 4 ? 3 : 4,
    info: 0,
    data: 0,
    offender:
      version === 4 ? { family: 'IPv4', address: '127.0.0.1', port: 0 } : { family: 'IPv6', address: '::1', port: 0 },
  }

  test(`${title}: a datagram to a closed port comes back with ECONNREFUSED, who said so, and where it was to go`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const [socket, address] = facingNobody(t, each)
    assert.equal(sendmsg(socket, Buffer.from('hello'), [], 0, address), 5)
    const message = await arrival(socket, 512, 100, MSG_ERRQUEUE)
    assert.deepEqual([`${message.data}`, message.address], ['hello', address])
    assert.equal(message.flags & MSG_ERRQUEUE, MSG_ERRQUEUE)
    assert.deepEqual(codec.from(message.ancillary), refused)
    assert.equal(recvmsg(socket, 100, 512, MSG_ERRQUEUE), null, 'once')
    assert.equal(recvmsg(socket, 100, 512), null, 'and no data is there')
  })

  test(`${title}: a connected socket meets the error in its next call too`, { skip }, async (t) => {
    noLeak(t)
    const [socket, address] = facingNobody(t, each)
    connect(socket, address)
    assert.equal(sendmsg(socket, Buffer.from('hello')), 5)
    await arrival(socket, 512, 100, MSG_ERRQUEUE)
    assert.equal(sendmsg(socket, Buffer.from('again')), 5)
    await assert.rejects(arrival(socket), { code: 'ECONNREFUSED', syscall: 'recvmsg' } satisfies Partial<SyscallError>)
  })

  test(`${title}: errors into control buffers of every size: one that was cut off is none`, { skip }, async (t) => {
    noLeak(t)
    const [socket, address] = facingNobody(t, each)
    for (let size = 0; size <= CMSG_SPACE(each.bytes) + 8; size++) {
      assert.equal(sendmsg(socket, Buffer.from('hello'), [], 0, address), 5)
      const { data, ancillary, flags } = await arrival(socket, size, 2, MSG_ERRQUEUE)
      const whole = size >= CMSG_LEN(each.bytes)
      assert.equal(`${data}`, 'he')
      assert.equal(flags & MSG_TRUNC, MSG_TRUNC)
      assert.equal((flags & MSG_CTRUNC) !== 0, !whole, `MSG_CTRUNC with room for ${size} bytes`)
      assert.deepEqual(codec.from(ancillary), whole ? refused : undefined, `room for ${size} bytes`)
    }
  })

  const zerocopy: [string, (t: TestContext) => Pair | Promise<Pair>][] = [
    ['UDP', (t) => udpPair(t, version)],
    ['TCP', (t) => tcpPair(t, version)],
  ]
  for (const [kind, pair] of zerocopy) {
    test(`${title}: MSG_ZEROCOPY over ${kind} says on the error queue which sends are done with their bytes`, {
      skip,
    }, async (t) => {
      noLeak(t)
      const [from, to] = await pair(t)
      try {
        setsockopt(from, 'SO_ZEROCOPY', true)
      } catch (error) {
        return t.skip(`this kernel has none: ${(error as SyscallError).code}`)
      }
      const payload = Buffer.alloc(20_000, 'zero')
      let next = 0
      for (let i = 0; i < 3; i++) {
        assert.equal(sendmsg(from, payload, [], MSG_ZEROCOPY), payload.length)
        for (let got = 0; got < payload.length; ) got += (await arrival(to)).data.length
      }
      while (next < 3) {
        const { data, ancillary } = await arrival(from, 512, 0, MSG_ERRQUEUE)
        const done = codec.from(ancillary)
        assert.ok(done !== undefined && data.length === 0)
        assert.deepEqual(
          [done.origin, done.code, done.errno, done.info, done.offender],
          ['zerocopy', '', 0, next, null],
        )
        next = done.data + 1
      }
      assert.equal(next, 3)
    })
  }
}

test('what is put into an error comes out of it', () => {
  const given = {
    errno: -113,
    origin: 'icmp',
    icmpType: 3,
    icmpCode: 1,
    info: 1,
    data: 2,
    offender: { address: '192.0.2.7', port: 0 },
  } as const
  const offender = { family: 'IPv4', address: '192.0.2.7', port: 0 }
  assert.deepEqual(ipRecverr.decode(ipRecverr.encode(given)), { ...given, code: 'EHOSTUNREACH', offender })
  assert.equal(ipRecverr.decode(ipRecverr.encode({ errno: -523 })).code, 'UNKNOWN_ERRNO_523')
  assert.equal(ipRecverr.decode(ipRecverr.encode({ origin: 200 })).origin, 200)
  assert.throws(() => ipRecverr({ origin: 'moon' as 'icmp' }), { name: 'TypeError', message: /^origin: one of none/ })
  assert.throws(() => ipRecverr({ errno: 5 }), { name: 'RangeError', message: /^errno: / })
})
