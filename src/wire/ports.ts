/** The payload of a listening port that the receiver accepts from by itself: its number, u32. One descriptor goes with it. */
import { encodeHeader, FrameType, HEADER_BYTES } from './frame.js'

export function portFrame(port: number): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + 4)
  frame.writeUInt32LE(port, encodeHeader(frame, 0, FrameType.port, 4, 1))
  return frame
}
