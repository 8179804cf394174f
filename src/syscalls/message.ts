import { errnoOf } from '../errors.js'
import { kernel } from './kernel.js'

/** What every call here returns instead of waiting. */
export const WOULD_BLOCK = errnoOf('EAGAIN')

/**
 * Sends one message. Borrows everything. Control messages and address stand in the exchange (exchange.ts), the data of
 * each control message where `CMSG_SPACE` and `CMSG_LEN` put it. Never blocks, never raises SIGPIPE.
 * @param data      one buffer, or up to 1024
 * @param controls  how many control messages the exchange's index lists
 * @returns bytes taken, or -errno
 * @see sendmsg(2)
 */
export function sendmsg(
  socket: number,
  data: Uint8Array | readonly Uint8Array[],
  flags: number,
  controls: number,
  addressLength: number,
): number {
  return kernel.sendmsg(socket, data, flags, controls, addressLength)
}

/**
 * Receives one message into `data`; flags, address and control messages are in the exchange afterwards. Borrows the
 * socket, gives every descriptor among the control messages, close-on-exec, whatever the flags say. Never blocks.
 * @param controlSize  bytes of control messages there is room for
 * @returns bytes received (more than there is room for only if MSG_TRUNC is asked for), or -errno
 * @see recvmsg(2)
 */
export function recvmsg(
  socket: number,
  data: Uint8Array | readonly Uint8Array[],
  flags: number,
  controlSize: number,
): number {
  return kernel.recvmsg(socket, data, flags, controlSize)
}

/**
 * Sends several messages in one call. A row of three numbers is [buffers, control messages, address bytes] of a message
 * and becomes [bytes taken, …]; buffers, control messages and their data follow each other in the order of the messages.
 * @param addresses  slots of ADDRESS_BYTES
 * @returns messages sent, or -errno when the first was not
 * @see sendmmsg(2)
 */
export function sendmmsg(
  socket: number,
  parts: readonly Uint8Array[],
  rows: Int32Array,
  count: number,
  control: Uint8Array,
  index: Int32Array,
  addresses: Uint8Array,
  flags: number,
): number {
  return kernel.sendmmsg(socket, parts, rows, count, control, index, addresses, flags)
}

/**
 * Receives several messages of at most `size` bytes in one call. A row of four numbers becomes [bytes, flags, address
 * bytes, control messages]. Gives every descriptor, as {@link recvmsg}.
 * @returns messages received, or -errno
 * @see recvmmsg(2)
 */
export function recvmmsg(
  socket: number,
  data: Uint8Array,
  count: number,
  size: number,
  control: Uint8Array,
  controlSize: number,
  index: Int32Array,
  addresses: Uint8Array,
  rows: Int32Array,
  flags: number,
): number {
  return kernel.recvmmsg(socket, data, count, size, control, controlSize, index, addresses, rows, flags)
}

/**
 * Closes every descriptor (SCM_RIGHTS, SCM_PIDFD) in the first `count` received control messages of an index: what is left
 * to do when they cannot be given to whoever asked. Takes them. Meets no error that anybody could do something about.
 */
export function closeListed(control: Uint8Array, index: Int32Array, count: number): void {
  kernel.closeListed(control, index, count)
}
