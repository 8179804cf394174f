import { kernel } from './kernel.js'

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
