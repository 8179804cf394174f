/** Control messages by chance, through the kernel and back. */
import assert from 'node:assert/strict'
import { fstatSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Controls, controlsOf, placeControls } from '../../src/sendmsg/ancillary.js'
import * as api from '../../src/sendmsg/index.js'
import * as exchange from '../../src/syscalls/exchange.js'
import { kernel } from '../../src/syscalls/kernel.js'
import { IPV6, receive, udpPair, unixKinds, unixPair } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'

const RUNS = { numRuns: 60, includeErrorInReport: true }
const ROOM = 8192

const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max })
const inode = (fd: number): number => fstatSync(fd).ino

for (const { kind, type } of unixKinds) {
  test(`descriptors in any number of control messages arrive in the order sent, over a ${kind} socket`, (t) => {
    noLeak(t)
    const [from, to] = unixPair(t, type)
    const things = Array.from({ length: 4 }, () => unixPair(t)).flat()
    const lists = fc.array(fc.array(between(0, things.length - 1), { maxLength: 30 }), { maxLength: 8 })
    fc.assert(
      fc.property(lists, fc.uint8Array({ minLength: 1, maxLength: 50 }), (lists, bytes) => {
        const chosen = lists.map((list) => list.map((i) => things[i] as api.Descriptor))
        assert.equal(api.sendmsg(from, bytes, chosen.map(api.rights)), bytes.length)
        const { data, ancillary, flags } = receive(to, ROOM)
        const received = api.rights.from(ancillary)
        try {
          assert.deepEqual(data, Buffer.from(bytes))
          assert.equal(flags & api.MSG_CTRUNC, 0)
          assert.deepEqual(
            received.map(inode),
            chosen.flat().map(({ fd }) => inode(fd)),
          )
        } finally {
          api.closeDescriptors(ancillary)
        }
      }),
      RUNS,
    )
  })
}

test('time to live and type of service arrive as they were sent', (t) => {
  noLeak(t)
  const [from, to] = udpPair(t, 4)
  api.setsockopt(to, 'IP_RECVTTL', true)
  api.setsockopt(to, 'IP_RECVTOS', true)
  fc.assert(
    fc.property(between(1, 255), between(0, 255), fc.boolean(), (ttl, tos, swapped) => {
      const controls = [api.ipTtl(ttl), api.ipTos(tos)]
      assert.equal(api.sendmsg(from, Buffer.from('x'), swapped ? controls.reverse() : controls), 1)
      const { ancillary } = receive(to, ROOM)
      assert.deepEqual([api.ipTtl.from(ancillary), api.ipTos.from(ancillary)], [ttl, tos])
    }),
    RUNS,
  )
})

test('hop limit and traffic class arrive as they were sent', IPV6, (t) => {
  noLeak(t)
  const [from, to] = udpPair(t, 6)
  api.setsockopt(to, 'IPV6_RECVHOPLIMIT', true)
  api.setsockopt(to, 'IPV6_RECVTCLASS', true)
  fc.assert(
    fc.property(between(1, 255), between(0, 255), fc.boolean(), (hops, traffic, swapped) => {
      const controls = [api.ipv6Hoplimit(hops), api.ipv6Tclass(traffic)]
      assert.equal(api.sendmsg(from, Buffer.from('x'), swapped ? controls.reverse() : controls), 1)
      const { ancillary } = receive(to, ROOM)
      assert.deepEqual([api.ipv6Hoplimit.from(ancillary), api.ipv6Tclass.from(ancillary)], [hops, traffic])
    }),
    RUNS,
  )
})

/**
 * What the addon makes of control messages of any kind: a descriptor that is not open lets it write all of them, and
 * the kernel refuse to look. Headers are then in the exchange.
 */
function written(controls: Controls): Buffer {
  exchange.control.fill(0xee)
  placeControls(controls, exchange.control, exchange.controlIndex)
  assert.ok(kernel.sendmsg(-1, Buffer.of(0), 0, controls.data.length, 0) < 0)
  return Buffer.from(exchange.control.subarray(0, controls.space))
}

test('the addon writes the header of every control message, zeros its padding and leaves its data', () => {
  const i32 = between(-0x80000000, 0x7fffffff)
  const data = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 3000 }))
  const notRights = fc.tuple(i32, between(2, 0x7fffffff), data)
  fc.assert(
    fc.property(fc.array(notRights, { minLength: 1, maxLength: 12 }), (messages) => {
      const bytes = written(controlsOf(messages))
      let at = 0
      for (const [level, type, data] of messages) {
        const header = api.CMSG_LEN(0)
        // cmsg_len is a size_t on Linux and a 32-bit number on macOS; level and type are the last two of the header.
        assert.equal(bytes.readUInt32LE(at), api.CMSG_LEN(data.length))
        assert.deepEqual([bytes.readInt32LE(at + header - 8), bytes.readInt32LE(at + header - 4)], [level, type])
        assert.deepEqual(bytes.subarray(at + header, at + header + data.length), Buffer.from(data))
        const padding = bytes.subarray(at + header + data.length, at + api.CMSG_SPACE(data.length))
        assert.ok(padding.every((byte) => byte === 0))
        at += api.CMSG_SPACE(data.length)
      }
      assert.equal(at, bytes.length)
      assert.equal(exchange.control[at], 0xee, 'what is behind them stays')
    }),
    RUNS,
  )
})
