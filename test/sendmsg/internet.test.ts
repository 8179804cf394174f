/** Control messages of IPv4, IPv6 and UDP: received, sent, both, and cut off at every size. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import {
  type Address,
  AF_INET,
  AF_INET6,
  bind,
  CMSG_LEN,
  CMSG_SPACE,
  type ControlMessage,
  type Descriptor,
  getsockname,
  IP_PKTINFO,
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_HOPLIMIT,
  IPV6_TCLASS,
  ipPktinfo,
  ipTos,
  ipTtl,
  ipv6Hoplimit,
  ipv6Pktinfo,
  ipv6Tclass,
  MSG_CTRUNC,
  readable,
  recvmsg,
  recvmsgInto,
  SOCK_DGRAM,
  sendmmsg,
  sendmsg,
  setsockopt,
  udpGro,
  udpSegment,
} from '../../src/sendmsg/index.js'
import { arrival, IPV6, kindsOf, madeSocket, type Pair, tcpPair, udpPair } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'

const byte = Buffer.from('x')
const loopbackIndex = Number(readFileSync('/sys/class/net/lo/ifindex', 'utf8'))

/** What the kernel leaves of control messages with so many bytes of data each, in room of `size` bytes. */
function left(lengths: number[], size: number): { lengths: number[]; cut: boolean } {
  const kept: number[] = []
  let room = size
  let cut = false
  for (const length of lengths) {
    if (room < CMSG_LEN(0)) {
      cut = true
      continue
    }
    cut ||= room < CMSG_LEN(length)
    kept.push(Math.min(length, room - CMSG_LEN(0)))
    room -= Math.min(room, CMSG_SPACE(length))
  }
  return { lengths: kept, cut }
}

/** Receives the same message into room of every size: what is whole is found, what was cut is marked and is none. */
async function cutEverywhere(
  [from, to]: Pair,
  send: readonly ControlMessage[],
  found: (ancillary: ControlMessage[]) => unknown[],
): Promise<void> {
  assert.equal(sendmsg(from, byte, send), 1)
  const whole = await arrival(to)
  const lengths = whole.ancillary.map(([, , data]) => data.length)
  const values = found(whole.ancillary)
  const needed = (i: number): number =>
    CMSG_LEN(lengths[i] as number) + lengths.slice(0, i).reduce((sum, length) => sum + CMSG_SPACE(length), 0)
  for (let size = 0; size <= needed(lengths.length - 1) + 8; size++) {
    assert.equal(sendmsg(from, byte, send), 1)
    const { data, ancillary, flags } = await arrival(to, size)
    const expected = left(lengths, size)
    assert.equal(data.length, 1)
    assert.deepEqual(
      ancillary.map(([, , bytes]) => bytes.length),
      expected.lengths,
      `room for ${size} bytes`,
    )
    assert.equal((flags & MSG_CTRUNC) !== 0, expected.cut, `MSG_CTRUNC with room for ${size} bytes`)
    assert.deepEqual(
      found(ancillary),
      values.map((value, i) => (size >= needed(i) ? value : undefined)),
      `what is whole in ${size} bytes`,
    )
  }
}

/** Numbers of IPv4 and IPv6 that travel with a datagram. */
const kinds = [
  {
    version: 4,
    skip: false as string | false,
    options: ['IP_RECVTTL', 'IP_RECVTOS'],
    codecs: [ipTtl, ipTos],
    numbers: [
      [IPPROTO_IP, IP_TTL],
      [IPPROTO_IP, IP_TOS],
    ],
    names: ['time to live', 'type of service'],
  },
  {
    version: 6,
    skip: IPV6.skip,
    options: ['IPV6_RECVHOPLIMIT', 'IPV6_RECVTCLASS'],
    codecs: [ipv6Hoplimit, ipv6Tclass],
    numbers: [
      [IPPROTO_IPV6, IPV6_HOPLIMIT],
      [IPPROTO_IPV6, IPV6_TCLASS],
    ],
    names: ['hop limit', 'traffic class'],
  },
] as const

for (const { version, skip, options, codecs, numbers, names } of kinds) {
  const found = (ancillary: Iterable<ControlMessage>) => codecs.map((codec) => codec.from(ancillary))

  for (const i of [0, 1] as const) {
    test(`IPv${version}: the ${names[i]} is received when asked for, and not else`, { skip }, async (t) => {
      noLeak(t)
      const [from, to] = udpPair(t, version)
      assert.equal(sendmsg(from, byte), 1)
      assert.deepEqual((await arrival(to)).ancillary, [])
      setsockopt(to, options[i], true)
      assert.equal(sendmsg(from, byte), 1)
      const message = await arrival(to)
      assert.deepEqual(kindsOf(message), [numbers[i]])
      const value = codecs[i].from(message.ancillary) as number
      assert.ok(Number.isInteger(value) && value >= 0 && value <= 255, `${value}`)
    })

    test(`IPv${version}: a ${names[i]} that is sent with a datagram is that of this datagram alone`, {
      skip,
    }, async (t) => {
      noLeak(t)
      const [from, to] = udpPair(t, version)
      setsockopt(to, options[i], true)
      assert.equal(sendmsg(from, byte), 1)
      const usual = codecs[i].from((await arrival(to)).ancillary)
      for (const value of [4, 252, 1 << 5]) {
        assert.equal(sendmsg(from, byte, [codecs[i](value)]), 1)
        assert.equal(codecs[i].from((await arrival(to)).ancillary), value)
      }
      assert.equal(sendmsg(from, byte), 1)
      assert.equal(codecs[i].from((await arrival(to)).ancillary), usual)
    })

    test(`IPv${version}: the ${names[i]} alone, into control buffers of every size`, { skip }, async (t) => {
      noLeak(t)
      const pair = udpPair(t, version)
      setsockopt(pair[1], options[i], true)
      await cutEverywhere(pair, [codecs[i](44)], (ancillary) => [codecs[i].from(ancillary)])
    })
  }

  test(`IPv${version}: ${names[0]} and ${names[1]} are sent and received together, in any order`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const [from, to] = udpPair(t, version)
    for (const option of options) setsockopt(to, option, true)
    const both = [codecs[0](17), codecs[1](40)]
    for (const ancillary of [both, both.reverse()]) {
      assert.equal(sendmsg(from, byte, ancillary), 1)
      assert.deepEqual(found((await arrival(to)).ancillary), [17, 40])
      assert.deepEqual(sendmmsg(from, [{ data: byte, ancillary }, { data: byte }]), [1, 1])
      assert.deepEqual(found((await arrival(to)).ancillary), [17, 40])
      assert.notDeepEqual(found((await arrival(to)).ancillary), [17, 40], 'the second has none of the first')
    }
    assert.equal(sendmsg(from, byte, both), 1)
    await readable(to)
    assert.deepEqual(found(recvmsgInto(to, Buffer.alloc(1), 100)?.ancillary ?? []), [17, 40])
  })

  test(`IPv${version}: ${names[0]} and ${names[1]} into control buffers of every size: the first cut, the second cut, none`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const pair = udpPair(t, version)
    for (const option of options) setsockopt(pair[1], option, true)
    await cutEverywhere(pair, [codecs[0](17), codecs[1](40)], found)
  })

  test(`IPv${version}: a value of the wrong size or range is an error, and the socket goes on working`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const [from, to] = udpPair(t, version)
    for (const [level, type] of numbers) {
      const wrong = [Buffer.alloc(0), Buffer.alloc(3), Buffer.from(Int32Array.of(256).buffer)]
      for (const data of wrong) assert.throws(() => sendmsg(from, byte, [[level, type, data]]), { code: 'EINVAL' })
    }
    for (const codec of codecs) {
      for (const value of [256, -2, 1.5]) assert.throws(() => codec(value), { name: 'RangeError' })
      assert.throws(() => codec('7' as unknown as number), { name: 'TypeError' })
    }
    assert.equal(sendmsg(from, byte), 1)
    assert.equal((await arrival(to)).data.length, 1)
  })

  test(`IPv${version}: what goes with a datagram does nothing to a TCP connection`, { skip }, async (t) => {
    noLeak(t)
    const [from, to] = await tcpPair(t, version)
    for (const option of options) setsockopt(to, option, true)
    assert.equal(sendmsg(from, byte, [codecs[0](17), codecs[1](40)]), 1)
    const message = await arrival(to)
    assert.deepEqual([`${message.data}`, message.ancillary, message.flags], ['x', [], 0])
  })
}

test('IP_PKTINFO tells where a datagram came in, and chooses the address it goes out from', async (t) => {
  noLeak(t)
  const [from, to] = [0, 1].map(() => madeSocket(t, AF_INET, SOCK_DGRAM)) as [Descriptor, Descriptor]
  bind(to, { address: '0.0.0.0', port: 0 })
  setsockopt(to, 'IP_PKTINFO', true)
  const { port } = getsockname(to) as Address & { port: number }
  const source = ipPktinfo({ local: '127.0.0.9', interfaceIndex: loopbackIndex })
  assert.equal(sendmsg(from, byte, [source], 0, { address: '127.0.0.5', port }), 1)
  const message = await arrival(to)
  assert.deepEqual(kindsOf(message), [[IPPROTO_IP, IP_PKTINFO]])
  const info = ipPktinfo.from(message.ancillary)
  assert.deepEqual(info, { interfaceIndex: loopbackIndex, local: '127.0.0.5', destination: '127.0.0.5' })
  assert.equal((message.address as Address & { address: string }).address, '127.0.0.9')
  assert.throws(
    () => sendmsg(from, byte, [ipPktinfo({ interfaceIndex: 0x7ffffff0 })], 0, { address: '127.0.0.1', port }),
    { syscall: 'sendmsg' },
  )
  assert.equal(recvmsg(to), null)
})

test('IPV6_PKTINFO tells where a datagram came in, and chooses the address it goes out from', IPV6, async (t) => {
  noLeak(t)
  const [from, to] = [0, 1].map(() => madeSocket(t, AF_INET6, SOCK_DGRAM)) as [Descriptor, Descriptor]
  bind(to, { address: '::', port: 0 })
  setsockopt(to, 'IPV6_RECVPKTINFO', true)
  const { port } = getsockname(to) as Address & { port: number }
  const source = ipv6Pktinfo({ address: '::1', interfaceIndex: loopbackIndex })
  assert.equal(sendmsg(from, byte, [source], 0, { address: '::1', port }), 1)
  const message = await arrival(to)
  assert.deepEqual(ipv6Pktinfo.from(message.ancillary), { interfaceIndex: loopbackIndex, address: '::1' })
  assert.equal((message.address as Address & { address: string }).address, '::1')
  const foreign = ipv6Pktinfo({ address: '2001:db8::77' })
  assert.throws(() => sendmsg(from, byte, [foreign], 0, { address: '::1', port }), { code: 'EINVAL' })
  assert.equal(recvmsg(to), null)
})

for (const version of [4, 6] as const) {
  const { skip } = version === 4 ? { skip: false } : IPV6
  test(`IPv${version}: packet info into control buffers of every size`, { skip }, async (t) => {
    noLeak(t)
    const pair = udpPair(t, version)
    setsockopt(pair[1], version === 4 ? 'IP_PKTINFO' : 'IPV6_RECVPKTINFO', true)
    const codec = version === 4 ? ipPktinfo : ipv6Pktinfo
    await cutEverywhere(pair, [], (ancillary) => [codec.from(ancillary)])
  })

  test(`IPv${version}: UDP_SEGMENT cuts one send into datagrams`, { skip }, async (t) => {
    noLeak(t)
    const [from, to] = udpPair(t, version)
    const payload = Buffer.from(Uint8Array.from({ length: 2500 }, (_, i) => i % 251))
    assert.equal(sendmsg(from, payload, [udpSegment(1000)]), 2500)
    const got: Buffer[] = []
    while (got.length < 3) got.push((await arrival(to)).data)
    assert.deepEqual(
      got.map(({ length }) => length),
      [1000, 1000, 500],
    )
    assert.ok(Buffer.concat(got).equals(payload))
    assert.equal(recvmsg(to), null)
  })

  test(`IPv${version}: UDP_GRO joins them again and tells their size; a size that was cut off is none`, {
    skip,
  }, async (t) => {
    noLeak(t)
    const pair = udpPair(t, version)
    const [from, to] = pair
    setsockopt(to, 'UDP_GRO', true)
    const payload = Buffer.alloc(2500, 'gro')
    for (let size = 0; size <= CMSG_SPACE(4); size++) {
      assert.equal(sendmsg(from, payload, [udpSegment(1000)]), 2500)
      const { data, ancillary, flags } = await arrival(to, size)
      assert.ok(data.equals(payload))
      assert.equal(udpGro.from(ancillary), size >= CMSG_LEN(4) ? 1000 : undefined, `room for ${size} bytes`)
      assert.equal((flags & MSG_CTRUNC) !== 0, size < CMSG_LEN(4))
    }
  })
}
