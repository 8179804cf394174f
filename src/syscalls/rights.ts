import { kernel } from './kernel.js'

/**
 * Sends bytes together with copies of descriptors in one sendmsg(2). Borrows every descriptor.
 * At least one byte must go with descriptors, or a stream drops them silently.
 * @returns bytes taken, or -errno; after a short count all descriptors have gone, after -EAGAIN nothing has
 * @see sendmsg(2), unix(7)
 */
export function sendRights(
  socket: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  descriptors: Int32Array,
  first: number,
  count: number,
): number {
  return kernel.sendRights(socket, bytes, offset, length, descriptors, first, count)
}

/**
 * Receives bytes and descriptors in one recvmsg(2). Borrows the socket, gives every descriptor that arrived,
 * close-on-exec, even when the flags say that others were cut off.
 * @param descriptors  room for DESCRIPTORS_PER_MESSAGE_MAX, filled from index 0
 * @param arrived      receives [number of descriptors, message flags]
 * @returns bytes received, 0 at the end of the stream, or -errno
 * @see recvmsg(2), unix(7)
 */
export function recvRights(
  socket: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  descriptors: Int32Array,
  arrived: Int32Array,
): number {
  return kernel.recvRights(socket, bytes, offset, length, descriptors, arrived)
}
