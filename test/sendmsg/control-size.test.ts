/** CMSG_LEN and CMSG_SPACE: what they promise of each other, and what they refuse. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ANCILLARY_BYTES_MAX, BUFFERS_PER_MESSAGE_MAX } from '../../src/limits.js'
import { CMSG_LEN, CMSG_SPACE, recvmsg, SOCK_DGRAM, sendmsg, setsockopt } from '../../src/sendmsg/index.js'
import { constant } from '../../src/syscalls/kernel.js'
import { kindsOf, receive, unixPair } from '../support/control.js'
import { noLeak } from '../support/descriptors.js'

const lengths = [...Array(1025).keys(), 4096, 65_535, 65_536, 1_000_000, 0x7fff_0000]

test('CMSG_LEN adds the same header to every length', () => {
  for (const length of lengths) assert.equal(CMSG_LEN(length) - CMSG_LEN(0), length)
  assert.equal(CMSG_LEN(0), process.platform === 'linux' ? 16 : 12)
})

test('CMSG_SPACE never shrinks, is no less than CMSG_LEN, and is less than one more unit of alignment above it', () => {
  const unit = CMSG_SPACE(1) - CMSG_SPACE(0)
  for (const [i, length] of lengths.entries()) {
    const space = CMSG_SPACE(length)
    assert.ok(space >= CMSG_LEN(length) && space < CMSG_LEN(length) + unit, `CMSG_SPACE(${length})`)
    assert.equal(space % unit, CMSG_SPACE(0) % unit)
    if (i > 0) assert.ok(space >= CMSG_SPACE(lengths[i - 1] as number), `CMSG_SPACE(${length})`)
  }
})

for (const [name, sizeOf] of Object.entries({ CMSG_LEN, CMSG_SPACE })) {
  test(`${name} refuses what is no length of a control message: overflow, negative, fractional, no number`, () => {
    const most = /from 0 to (\d+)/.exec(String(thrown(() => sizeOf(-1))))?.[1]
    assert.ok(Number.isSafeInteger(sizeOf(Number(most))) && sizeOf(Number(most)) <= 0x7fffffff)
    for (const length of [
      Number(most) + 1,
      0x7fffffff,
      2 ** 31,
      2 ** 32,
      2 ** 53,
      Number.POSITIVE_INFINITY,
      -1,
      -0.5,
      1.5,
      Number.NaN,
    ]) {
      assert.throws(() => sizeOf(length), { name: 'RangeError', message: /^length: a whole number from 0 to / })
    }
    for (const length of ['4', 4n, null, undefined, {}, [4], true]) {
      assert.throws(() => sizeOf(length as number), {
        name: 'TypeError',
        message: /^length: a whole number from 0 to /,
      })
    }
  })
}

function thrown(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}

test('room for control messages is 0 to 65536 whole bytes, and a refusal leaves the message where it is', (t) => {
  noLeak(t)
  const [from, to] = unixPair(t, SOCK_DGRAM)
  setsockopt(to, 'SO_PASSCRED', true)
  assert.equal(sendmsg(from, Buffer.from('x')), 1)
  for (const size of [-1, 65_537, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => recvmsg(to, 1, size), { name: 'RangeError', message: /^ancillarySize: / })
  }
  for (const size of ['64', null, 64n]) {
    assert.throws(() => recvmsg(to, 1, size as unknown as number), { name: 'TypeError', message: /^ancillarySize: / })
  }
  assert.equal(kindsOf(receive(to, 65_536)).length, 1)
})

test('limits are those of the addon', () => {
  assert.equal(ANCILLARY_BYTES_MAX, constant('CONTROL_BYTES_MAX'))
  assert.equal(BUFFERS_PER_MESSAGE_MAX, constant('PARTS_PER_MESSAGE_MAX'))
})
