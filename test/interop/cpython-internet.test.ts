import assert from 'node:assert/strict'
import test from 'node:test'
import {
  AF_INET,
  bind,
  CMSG_LEN,
  type ControlMessage,
  type Descriptor,
  getsockname,
  getsockopt,
  IP_PKTINFO,
  IP_RECVTOS,
  IP_RECVTTL,
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
  MSG_TRUNC,
  rights,
  SOCK_DGRAM,
  sendmsg,
  setsockopt,
  socket,
} from '../../src/sendmsg/index.js'
import { noLeak } from '../support/descriptors.js'
import { interpreter, ipFamilies, type Python, portOf, python, received } from '../support/python.js'

const found = interpreter('cpython')
const { skip } = found
const families = ipFamilies(found)
const [v4, v6] = families

/** A UDP socket of ours, and `s` of Python's with its port. */
async function udpPair(
  t: Parameters<typeof python>[0],
  { family, loopback }: (typeof families)[number],
): Promise<{ ours: Descriptor; port: number; peer: Python; its: { address: string; port: number } }> {
  const ours = socket(family, SOCK_DGRAM)
  t.after(() => ours.close())
  bind(ours, { address: loopback, port: 0 })
  const peer = python(t, found)
  const port = await peer.run<number>(
    `s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(10); s.bind((loopback, 0))
ours = (loopback, port)
def ints(ancillary): return [[level, kind, int.from_bytes(data, 'little')] for level, kind, data in ancillary]
s.getsockname()[1]`,
    { family, loopback, port: portOf(getsockname(ours)) },
  )
  return { ours, port: portOf(getsockname(ours)), peer, its: { address: loopback, port } }
}

function int(value: number): Buffer {
  return Buffer.from(Int32Array.of(value).buffer)
}

for (const family of families) {
  const { version, loopback } = family

  test(`${version}: datagrams go to an address of Python's and come from it, truncated ones marked`, {
    skip: family.skip,
  }, async (t) => {
    noLeak(t)
    const { ours, port, peer, its } = await udpPair(t, family)
    assert.equal(sendmsg(ours, [Buffer.from('to '), Buffer.from('Python')], [], 0, its), 9)
    const theirs = await peer.run(
      'data, a, flags, address = s.recvmsg(4); [data, flags & socket.MSG_TRUNC != 0, *address[:2]]',
    )
    assert.deepEqual(theirs, ['to P', true, loopback, port])
    await peer.run("s.sendmsg([b'to ', b'us'], [], 0, ours); s.sendmsg([], [], 0, ours)")
    const { data, flags, address } = await received(ours, 4)
    assert.deepEqual([data.toString(), flags & MSG_TRUNC, address], ['to u', MSG_TRUNC, { family: version, ...its }])
    assert.deepEqual((await received(ours)).data.length, 0, 'an empty datagram')
  })

  test(`${version}: descriptors that Python sends are dropped on the way, ours are refused before`, {
    skip: family.skip,
  }, async (t) => {
    noLeak(t)
    const { ours, peer, its } = await udpPair(t, family)
    await peer.run("s.sendmsg([b'x'], [rights([0])], 0, ours)")
    assert.deepEqual((await received(ours, 9, 100)).ancillary, [])
    assert.throws(() => sendmsg(ours, Buffer.from('x'), [rights([ours])], 0, its), /^RangeError: socket: .*AF_UNIX/)
  })
}

test('IPv4: what Python sets for one datagram (TTL, TOS, source) is what we receive', { skip }, async (t) => {
  noLeak(t)
  const { ours, peer } = await udpPair(t, v4)
  for (const name of ['IP_RECVTTL', 'IP_RECVTOS', 'IP_PKTINFO'] as const) setsockopt(ours, name, true)
  await peer.run(
    `source = struct.pack('i4s4s', 0, socket.inet_aton('127.0.0.2'), bytes(4))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendmsg([b'x'], [(socket.IPPROTO_IP, socket.IP_TTL, struct.pack('i', 7)),
                   (socket.IPPROTO_IP, socket.IP_TOS, struct.pack('i', 0x48)),
                   (socket.IPPROTO_IP, pktinfo, source)], 0, ours)
s.sendmsg([b'y'], [(socket.IPPROTO_IP, socket.IP_TOS, b'\\x10')], 0, ours)`,
    { pktinfo: IP_PKTINFO },
  )
  const { data, ancillary, address } = await received(ours, 9, 200)
  assert.equal(ancillary.length, 3)
  assert.deepEqual([data.toString(), ipTtl.from(ancillary), ipTos.from(ancillary)], ['x', 7, 0x48])
  assert.ok(address?.family === 'IPv4')
  assert.equal(address.address, '127.0.0.2')
  const { interfaceIndex, local, destination } = ipPktinfo.from(ancillary) ?? {}
  assert.deepEqual([interfaceIndex, local, destination], [1, '127.0.0.1', '127.0.0.1'])
  assert.equal(ipTos.from((await received(ours, 9, 200)).ancillary), 0x10, 'told in one byte')
})

test('IPv4: what we set for one datagram (TTL, TOS, source) is what Python receives, raw or by codec', {
  skip,
}, async (t) => {
  noLeak(t)
  const { ours, peer, its } = await udpPair(t, v4)
  await peer.run('for option in options: s.setsockopt(socket.IPPROTO_IP, option, 1)', {
    options: [IP_RECVTTL, IP_RECVTOS, IP_PKTINFO],
  })
  const raw: ControlMessage[] = [
    [IPPROTO_IP, IP_TTL, int(9)],
    [IPPROTO_IP, IP_TOS, int(0x20)],
    [IPPROTO_IP, IP_PKTINFO, Buffer.from([0, 0, 0, 0, 127, 0, 0, 3, 0, 0, 0, 0])],
  ]
  const wide = socket(AF_INET, SOCK_DGRAM)
  t.after(() => wide.close())
  for (const ancillary of [raw, [ipTtl(9), ipTos(0x20), ipPktinfo({ local: '127.0.0.3' })]]) {
    sendmsg(wide, Buffer.from('x'), ancillary, 0, its)
    const theirs = await peer.run(
      `data, ancillary, flags, address = s.recvmsg(9, 200)
kinds = {(level, kind): item for level, kind, item in ancillary}
info = struct.unpack('i4s4s', kinds[socket.IPPROTO_IP, pktinfo])
[int.from_bytes(kinds[socket.IPPROTO_IP, socket.IP_TTL], 'little'), kinds[socket.IPPROTO_IP, socket.IP_TOS][0],
 address[0], info[0], socket.inet_ntoa(info[1]), socket.inet_ntoa(info[2])]`,
      { pktinfo: IP_PKTINFO },
    )
    assert.deepEqual(theirs, [9, 0x20, '127.0.0.3', 1, '127.0.0.1', '127.0.0.1'])
  }
  // The next has the socket's own again.
  sendmsg(ours, Buffer.from('x'), [], 0, its)
  assert.deepEqual(
    await peer.run('[v for l, k, v in ints(s.recvmsg(9, 200)[1]) if k in (socket.IP_TTL, socket.IP_TOS)]'),
    [getsockopt(ours, 'IP_TTL'), 0],
  )
})

test('IPv6: what Python sets for one datagram (hop limit, class, source) is what we receive', {
  skip: v6.skip,
}, async (t) => {
  noLeak(t)
  const { ours, peer } = await udpPair(t, v6)
  for (const name of ['IPV6_RECVHOPLIMIT', 'IPV6_RECVTCLASS', 'IPV6_RECVPKTINFO'] as const) setsockopt(ours, name, true)
  await peer.run(`
    source = struct.pack('16sI', socket.inet_pton(socket.AF_INET6, '::1'), 1)
    s.sendmsg([b'x'], [(socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, struct.pack('i', 7)),
                       (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, struct.pack('i', 0x48)),
                       (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, source)], 0, ours)
    s.sendmsg([b'y'], [(socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, struct.pack('i', -1))], 0, ours)`)
  const { ancillary } = await received(ours, 9, 200)
  assert.deepEqual([ancillary.length, ipv6Hoplimit.from(ancillary), ipv6Tclass.from(ancillary)], [3, 7, 0x48])
  assert.deepEqual(ipv6Pktinfo.from(ancillary), { interfaceIndex: 1, address: '::1' })
  const second = (await received(ours, 9, 200)).ancillary
  assert.deepEqual(
    [ipv6Hoplimit.from(second), ipv6Tclass.from(second)],
    [getsockopt(ours, 'IPV6_UNICAST_HOPS'), 0],
    'the defaults again',
  )
})

test('IPv6: what we set for one datagram (hop limit, class, source) is what Python receives, raw or by codec', {
  skip: v6.skip,
}, async (t) => {
  noLeak(t)
  const { ours, peer, its } = await udpPair(t, v6)
  await peer.run(`
    for option in [socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVTCLASS, socket.IPV6_RECVPKTINFO]:
        s.setsockopt(socket.IPPROTO_IPV6, option, 1)`)
  const raw: ControlMessage[] = [
    [IPPROTO_IPV6, IPV6_HOPLIMIT, int(9)],
    [IPPROTO_IPV6, IPV6_TCLASS, int(0x20)],
  ]
  const byCodec = [ipv6Hoplimit(9), ipv6Tclass(0x20), ipv6Pktinfo({ address: '::1', interfaceIndex: 1 })]
  for (const ancillary of [raw, byCodec]) {
    sendmsg(ours, Buffer.from('x'), ancillary, 0, its)
    const theirs = await peer.run(`
      data, ancillary, flags, address = s.recvmsg(9, 200)
      kinds = {kind: item for level, kind, item in ancillary if level == socket.IPPROTO_IPV6}
      to, interface = struct.unpack('16sI', kinds[socket.IPV6_PKTINFO])
      [*struct.unpack('i', kinds[socket.IPV6_HOPLIMIT]), *struct.unpack('i', kinds[socket.IPV6_TCLASS]),
       socket.inet_ntop(socket.AF_INET6, to), interface]`)
    assert.deepEqual(theirs, [9, 0x20, '::1', 1])
  }
})

test('IPv6: with any room for hop limit and class we receive what Python receives', { skip: v6.skip }, async (t) => {
  noLeak(t)
  const { ours, peer, its } = await udpPair(t, v6)
  for (const name of ['IPV6_RECVHOPLIMIT', 'IPV6_RECVTCLASS'] as const) setsockopt(ours, name, true)
  await peer.run(`
    for option in [socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVTCLASS]: s.setsockopt(socket.IPPROTO_IPV6, option, 1)`)
  const ancillary = [ipv6Hoplimit(9), ipv6Tclass(0x20)]
  for (let size = 0; size <= 50; size++) {
    for (const address of [its, { address: '::1', port: portOf(getsockname(ours)) }]) {
      sendmsg(ours, Buffer.from('x'), ancillary, 0, address)
    }
    const theirs = await peer.run(
      'd, a, flags, _ = s.recvmsg(9, size); [[[l, k, item] for l, k, item in a], flags & socket.MSG_CTRUNC != 0]',
      { size },
    )
    const mine = await received(ours, 9, size)
    const messages = mine.ancillary.map(([level, kind, data]) => [level, kind, data.toString('latin1')])
    assert.deepEqual([messages, (mine.flags & MSG_CTRUNC) !== 0], theirs, `room for ${size} bytes`)
  }
})

test("IPv6: a hop limit or class of Python's that was cut off is none", { skip: v6.skip }, async (t) => {
  noLeak(t)
  const { ours, peer } = await udpPair(t, v6)
  for (const [option, constant, codec] of [
    ['IPV6_RECVHOPLIMIT', IPV6_HOPLIMIT, ipv6Hoplimit],
    ['IPV6_RECVTCLASS', IPV6_TCLASS, ipv6Tclass],
  ] as const) {
    setsockopt(ours, option, true)
    for (const [held, value] of [
      [0, undefined],
      [1, undefined],
      [2, undefined],
      [3, undefined],
      [4, 7],
    ] as const) {
      await peer.run("s.sendmsg([b'x'], [(socket.IPPROTO_IPV6, constant, struct.pack('i', 7))], 0, ours)", { constant })
      const { ancillary } = await received(ours, 9, CMSG_LEN(held))
      assert.equal(ancillary[0]?.[2].length, held)
      assert.equal(codec.from(ancillary), value, `${option}, ${held} of 4 bytes`)
    }
    setsockopt(ours, option, false)
  }
})
