import assert from 'node:assert/strict'
import test from 'node:test'
import { DESCRIPTORS_PER_MESSAGE_MAX, FRAME_PAYLOAD_MAX } from '../../src/limits.js'
import {
  decodeCount,
  encodeCount,
  encodeFrame,
  encodeHeader,
  FrameReader,
  FrameType,
  HEADER_BYTES,
} from '../../src/wire/frame.js'

type Seen = { type: number; descriptors: number; payload: string }

/** Feeds `bytes` in pieces of `size` and collects the frames. */
function cut(bytes: Buffer, size: number): Seen[] {
  const reader = new FrameReader()
  const seen: Seen[] = []
  for (let at = 0; at < bytes.length; ) {
    const room = reader.buffer.length - reader.filled
    assert.ok(room > 0, 'there is always room to read into')
    const piece = Math.min(size, room, bytes.length - at)
    bytes.copy(reader.buffer, reader.filled, at, at + piece)
    reader.commit(piece, (type, descriptors, buffer, offset, length) =>
      seen.push({ type, descriptors, payload: buffer.toString('latin1', offset, offset + length) }),
    )
    at += piece
  }
  assert.equal(reader.filled, 0, 'nothing is left over')
  return seen
}

test('frames come out as they went in, wherever the stream is cut', () => {
  const payloads = ['', 'a', 'x'.repeat(5_000), 'y'.repeat(FRAME_PAYLOAD_MAX), 'z']
  const stream = Buffer.concat(payloads.map((payload) => encodeFrame(FrameType.message, Buffer.from(payload))))
  for (const size of [1, 7, 8, 9, 4096, 100_000]) {
    assert.deepEqual(
      cut(stream, size).map((frame) => frame.payload),
      payloads,
      `pieces of ${size}`,
    )
  }
})

test('a header has the documented bytes', () => {
  const header = Buffer.alloc(HEADER_BYTES)
  assert.equal(encodeHeader(header, 0, FrameType.transports, 0x0000_000c, 0x00fd), HEADER_BYTES)
  assert.equal(header.toString('hex'), '0c0000000300fd00')
})

test('a count survives up to 2^53 - 1 and is refused beyond', () => {
  const buffer = Buffer.alloc(8)
  for (const count of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 17, Number.MAX_SAFE_INTEGER]) {
    assert.equal(encodeCount(buffer, 0, count), 8)
    assert.equal(buffer.readBigUInt64LE(0), BigInt(count))
    assert.equal(decodeCount(buffer, 0), count)
  }
  buffer.fill(0xff)
  assert.throws(() => decodeCount(buffer, 0), { code: 'ERR_HANDOVER_BAD_FRAME' })
})

test('a header over a limit is refused before its payload is awaited', () => {
  const bad: [number, number, number][] = [
    [FrameType.message, FRAME_PAYLOAD_MAX + 1, 0],
    [FrameType.message, 0xffff_ffff, 0],
    [FrameType.message, 0, DESCRIPTORS_PER_MESSAGE_MAX + 1],
    [0, 0, 0],
    [99, 0, 0],
  ]
  for (const [type, length, descriptors] of bad) {
    const reader = new FrameReader()
    encodeHeader(reader.buffer, 0, type as FrameType, length, descriptors)
    assert.throws(() => reader.commit(HEADER_BYTES, () => {}), { code: 'ERR_HANDOVER_BAD_FRAME' })
  }
})
