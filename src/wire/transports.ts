/**
 * The payload of transports: `sequence u64 | port u32`, and behind it, where something is to be said of one of them, a JSON
 * list with an entry for each: an object, or null.
 */
import { FRAME_PAYLOAD_MAX } from '../limits.js'
import { badFrame, decodeCount, encodeCount, encodeHeader, FrameType, HEADER_BYTES } from './frame.js'

const FIXED_BYTES = 12
/** Bytes of a frame about which nothing is said. */
export const TRANSPORTS_FRAME_BYTES = HEADER_BYTES + FIXED_BYTES

/** What may be said of one connection. */
export const DETAILS_BYTES_MAX = FRAME_PAYLOAD_MAX - FIXED_BYTES - 2

/** Writes a frame about which nothing is said into `frame`, which is as long. */
export function writeTransports(frame: Buffer, count: number, sequence: number, port: number): Buffer {
  const at = encodeCount(frame, encodeHeader(frame, 0, FrameType.transports, FIXED_BYTES, count), sequence)
  frame.writeUInt32LE(port, at)
  return frame
}

/**
 * A frame for as many as there is room to say something of, at least one.
 * @param details  as JSON, an entry for each; one is at most DETAILS_BYTES_MAX long
 */
export function detailedTransports(
  sequence: number,
  port: number,
  details: readonly string[],
): { frame: Buffer; count: number } {
  let count = 0
  let bytes = 2
  while (count < details.length) {
    const more = Buffer.byteLength(details[count] as string) + (count === 0 ? 0 : 1)
    if (count > 0 && bytes + more > DETAILS_BYTES_MAX) break
    bytes += more
    count += 1
  }
  const frame = Buffer.allocUnsafe(TRANSPORTS_FRAME_BYTES + bytes)
  const at = encodeCount(frame, encodeHeader(frame, 0, FrameType.transports, FIXED_BYTES + bytes, count), sequence)
  frame.write(`[${details.slice(0, count).join(',')}]`, frame.writeUInt32LE(port, at))
  return { frame, count }
}

export interface DecodedTransports {
  readonly sequence: number
  readonly port: number
  /** An entry for each; null: nothing is said of any. */
  readonly details: readonly unknown[] | null
}

/** @throws {HandoverError} ERR_HANDOVER_BAD_FRAME */
export function decodeTransports(buffer: Buffer, offset: number, length: number, count: number): DecodedTransports {
  if (count === 0) throw badFrame('a transports frame without descriptors')
  if (length < FIXED_BYTES) throw badFrame(`a payload of ${length} bytes where ${FIXED_BYTES} are due`)
  const [sequence, port] = [decodeCount(buffer, offset), buffer.readUInt32LE(offset + 8)]
  if (length === FIXED_BYTES) return { sequence, port, details: null }
  const details = parse(buffer.toString('utf8', offset + FIXED_BYTES, offset + length))
  if (!Array.isArray(details) || details.length !== count) {
    throw badFrame(`what is said of ${count} transports is no list of as many`)
  }
  return { sequence, port, details }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw badFrame('what is said of transports is not JSON', cause)
  }
}
