/**
 * The frame: `payload length u32 | type u8 | flags u8 | descriptor count u16 | payload`, little-endian.
 * Pure bytes: no I/O, no descriptors, only their count. docs/wire-format.md is the same for other languages.
 */
import { HandoverError } from '../errors.js'
import { DESCRIPTORS_PER_MESSAGE_MAX, FRAME_PAYLOAD_MAX } from '../limits.js'

export const HEADER_BYTES = 8

export const FrameType = {
  /** JSON: who speaks and which versions; the first frame each way. */
  hello: 1,
  /** JSON between a master and its workers. */
  message: 2,
  /** Live connections of one listening port. */
  transports: 3,
  /** How many descriptors the receiver has taken since the channel began. */
  claim: 4,
  /** Descriptors the receiver does not take; the sender still owns its copies. */
  refuse: 5,
  /** How many transports have closed since the channel began. */
  status: 6,
  /** A message and things for the peer, who answers with a verdict. */
  offer: 7,
  /** The beginning of the payload of the offer that follows. */
  part: 8,
  /** What became of an offer. */
  verdict: 9,
  /** The sender would have an offer back, if it is not claimed yet. */
  withdraw: 10,
  /** A listening port, which the receiver accepts from by itself. */
  port: 11,
  /** How many transports the sender has accepted by itself since the channel began. */
  accepted: 12,
} as const

export type FrameType = (typeof FrameType)[keyof typeof FrameType]

const TYPE_LAST = FrameType.accepted

/** Writes a header at `offset`; returns the offset behind it. */
export function encodeHeader(
  buffer: Buffer,
  offset: number,
  type: FrameType,
  payloadLength: number,
  descriptors = 0,
): number {
  buffer.writeUInt32LE(payloadLength, offset)
  buffer[offset + 4] = type
  buffer[offset + 5] = 0
  buffer.writeUInt16LE(descriptors, offset + 6)
  return offset + HEADER_BYTES
}

/** A whole frame around a JSON value, or around bytes that are already there. */
export function encodeFrame(type: FrameType, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length)
  frame.set(payload, encodeHeader(frame, 0, type, payload.length))
  return frame
}

/**
 * Sequence numbers and counts are u64 on the wire and doubles here: exact up to 2^53, which at a million
 * connections a second lasts 285 years.
 */
export function encodeCount(buffer: Buffer, offset: number, count: number): number {
  buffer.writeUInt32LE(count >>> 0, offset)
  buffer.writeUInt32LE(Math.floor(count / 2 ** 32), offset + 4)
  return offset + 8
}

export function decodeCount(buffer: Buffer, offset: number): number {
  const count = buffer.readUInt32LE(offset) + buffer.readUInt32LE(offset + 4) * 2 ** 32
  if (count > Number.MAX_SAFE_INTEGER) throw badFrame(`a count of ${count} is beyond 2^53`)
  return count
}

export function badFrame(what: string, cause?: unknown): HandoverError {
  return new HandoverError('ERR_HANDOVER_BAD_FRAME', what, cause === undefined ? {} : { cause })
}

/** What a reader calls for each frame; the payload lies in `buffer` and is valid only during the call. */
export type FrameVisitor = (
  type: FrameType,
  descriptors: number,
  buffer: Buffer,
  offset: number,
  length: number,
) => void

/**
 * Cuts a stream of bytes into frames. The caller reads into `buffer` from `filled` on and commits what came.
 * Invariant: between commits, `buffer[0, filled)` is the beginning of exactly one unfinished frame, or empty.
 */
export class FrameReader {
  buffer = Buffer.allocUnsafe(16 * 1024)
  filled = 0

  /** Descriptors announced by the unfinished frame, as far as its header has come. */
  get announced(): number {
    return this.filled < HEADER_BYTES ? DESCRIPTORS_PER_MESSAGE_MAX : this.buffer.readUInt16LE(6)
  }

  /**
   * Takes in `count` bytes that were written at `filled`, and visits every frame they complete.
   * @throws {HandoverError} ERR_HANDOVER_BAD_FRAME, at the first frame that breaks a limit
   */
  commit(count: number, visit: FrameVisitor): void {
    const end = this.filled + count
    let start = 0
    let wanted = HEADER_BYTES
    while (end - start >= HEADER_BYTES) {
      const length = this.buffer.readUInt32LE(start)
      const type = this.buffer[start + 4] as FrameType
      const descriptors = this.buffer.readUInt16LE(start + 6)
      checkHeader(length, type, descriptors)
      wanted = HEADER_BYTES + length
      if (end - start < wanted) break
      visit(type, descriptors, this.buffer, start + HEADER_BYTES, length)
      start += wanted
      wanted = HEADER_BYTES
    }
    this.#keep(start, end, wanted)
  }

  /** Moves the unfinished frame to the front, into a larger buffer when it would not fit. */
  #keep(start: number, end: number, wanted: number): void {
    const rest = end - start
    if (wanted > this.buffer.length) {
      const larger = Buffer.allocUnsafe(HEADER_BYTES + FRAME_PAYLOAD_MAX)
      this.buffer.copy(larger, 0, start, end)
      this.buffer = larger
    } else if (start > 0 && rest > 0) {
      this.buffer.copyWithin(0, start, end)
    }
    this.filled = rest
  }
}

function checkHeader(length: number, type: number, descriptors: number): void {
  if (type < 1 || type > TYPE_LAST) throw badFrame(`frame type ${type} is not known`)
  if (length > FRAME_PAYLOAD_MAX) throw badFrame(`a payload of ${length} bytes is over ${FRAME_PAYLOAD_MAX}`)
  if (descriptors > DESCRIPTORS_PER_MESSAGE_MAX) {
    throw badFrame(`${descriptors} descriptors in one frame are over ${DESCRIPTORS_PER_MESSAGE_MAX}`)
  }
}
