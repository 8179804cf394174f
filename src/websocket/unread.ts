/** The bytes that a receiver has read of messages it has not delivered. RFC 6455, section 5.2. */
import { type FrameState, GET_DATA, GET_INFO, GET_LENGTH_16, GET_LENGTH_64, GET_MASK } from './inside.js'

const FIN = 0x80
const COMPRESSED = 0x40
const MASKED = 0x80
const CONTROL = 0x08
/** Masking with it changes nothing. */
const NO_MASK = [0, 0, 0, 0]

/** How many frames have come of the message under way, not counting one that is itself under way. */
export function earlierFrames(state: FrameState): number {
  if (state._fragmented === 0) return 0
  const known = Math.max(state._numFragments ?? 0, state._fragments.length)
  // What is under way and not the last of its message is a data frame; with none before it, it is the first.
  const isFirst = state._state !== GET_INFO && !state._fin && known === 0
  return isFirst ? 0 : Math.max(known, 1)
}

/**
 * Writes down as frames what the receiver has read of an unfinished message: its earlier frames, then the frame under way
 * as far as it has come. Another receiver that reads them is where this one was.
 */
export function unreadBytes(state: FrameState): Buffer {
  const earlier = earlierFrames(state)
  const parts: Uint8Array[] = []
  for (let i = 0; i < earlier; i++) {
    // Empty ones are not kept: they were somewhere among the others, and count.
    const payload = state._fragments[i - (earlier - state._fragments.length)] ?? Buffer.alloc(0)
    parts.push(Buffer.from([i === 0 ? state._fragmented : 0, ...lengthBytes(payload.length), ...NO_MASK]), payload)
  }
  if (state._state !== GET_INFO) parts.push(header(state, earlier > 0))
  return Buffer.concat([...parts, ...state._buffers])
}

/** How many bytes that would be. */
export function unreadLength(state: FrameState): number {
  let length = 0
  for (const { length: bytes } of [...state._fragments, ...state._buffers]) length += bytes
  return length
}

function header(state: FrameState, continues: boolean): Buffer {
  const isData = state._opcode < CONTROL
  const opcode = isData && continues ? 0 : state._opcode
  const compressed = isData && !continues && state._compressed
  const bytes = [opcode | (state._fin ? FIN : 0) | (compressed ? COMPRESSED : 0)]
  switch (state._state) {
    case GET_LENGTH_16:
    case GET_LENGTH_64:
      bytes.push(state._payloadLength | MASKED)
      break
    case GET_MASK:
    case GET_DATA:
      bytes.push(...lengthBytes(state._payloadLength))
      if (state._state === GET_DATA) bytes.push(...(state._mask ?? NO_MASK))
  }
  return Buffer.from(bytes)
}

/** A length of a masked frame, in its shortest form. */
function lengthBytes(length: number): number[] {
  if (length < 126) return [length | MASKED]
  const bytes = Buffer.alloc(9)
  if (length < 0x10000) {
    bytes[0] = 126 | MASKED
    bytes.writeUInt16BE(length, 1)
    return [...bytes.subarray(0, 3)]
  }
  bytes[0] = 127 | MASKED
  bytes.writeBigUInt64BE(BigInt(length), 1)
  return [...bytes]
}
