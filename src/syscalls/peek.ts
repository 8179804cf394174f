import { kernel } from './kernel.js'
import { checked } from './result.js'

/**
 * Reads what has come on each of many stream sockets and leaves it there, in one native call. Borrows the sockets.
 * @param bytes    receives the bytes, in slots of `slot` bytes; of what is longer the beginning
 * @param lengths  receives how many bytes each slot has: 0 at the end of the stream, or -errno (-EAGAIN: nothing yet)
 * @see recv(2), MSG_PEEK
 */
export function peek(
  descriptors: Int32Array,
  count: number,
  bytes: Uint8Array,
  slot: number,
  lengths: Int32Array,
): void {
  checked(kernel.peek(descriptors, count, bytes, slot, lengths), 'recv')
}
