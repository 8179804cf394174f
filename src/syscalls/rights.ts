import { DESCRIPTORS_PER_MESSAGE_MAX } from '../limits.js'
import { SCM_CREDENTIALS, SCM_RIGHTS, SO_PASSCRED, SOL_SOCKET } from './constants.js'
import type { Credentials } from './credentials.js'
import { control, controlIndex, receivedControls, receivedFlags } from './exchange.js'
import { constant } from './kernel.js'
import { recvmsg, sendmsg } from './message.js'
import { setsockopt } from './sockopt.js'

const HEADER = constant('CONTROL_HEADER')
const ALIGNMENT = constant('CONTROL_ALIGNMENT')
const CREDENTIALS_BYTES = 12
const space = (bytes: number): number => Math.ceil((HEADER + bytes) / ALIGNMENT) * ALIGNMENT
/** Bytes of control messages with as many descriptors as a message may have, behind the sender's credentials. */
const CONTROL_SIZE = space(CREDENTIALS_BYTES) + space(4 * DESCRIPTORS_PER_MESSAGE_MAX)

/** The control bytes as descriptor numbers. Data of a control message starts at a whole number of these. */
const controlNumbers = new Int32Array(control.buffer, control.byteOffset, control.byteLength / 4)

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
  const data = bytes.subarray(offset, offset + length)
  if (count === 0) return sendmsg(socket, data, 0, 0, 0)
  controlIndex[0] = SOL_SOCKET
  controlIndex[1] = SCM_RIGHTS
  controlIndex[3] = 4 * count
  for (let i = 0; i < count; i++) controlNumbers[HEADER / 4 + i] = descriptors[first + i] as number
  return sendmsg(socket, data, 0, 1, 0)
}

/**
 * Receives bytes and descriptors in one recvmsg(2). Borrows the socket, gives every descriptor that arrived,
 * close-on-exec, even when the flags say that others were cut off.
 * @param descriptors  room for DESCRIPTORS_PER_MESSAGE_MAX, filled from index 0
 * @param arrived      ARRIVED_FIELDS numbers, receives [number of descriptors, message flags, and what senderOf reads]
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
  arrived[0] = 0
  arrived[1] = 0
  arrived[2] = 0
  const received = recvmsg(socket, bytes.subarray(offset, offset + length), 0, CONTROL_SIZE)
  if (received < 0) return received
  arrived[1] = receivedFlags()
  arrived[0] = receivedRights(descriptors, arrived)
  return received
}

/** Numbers that a receive tells beside its result. */
export const ARRIVED_FIELDS = 5

/** Who sent what was received last; null if the kernel was not asked, or does not know. */
export function senderOf(arrived: Int32Array): Credentials | null {
  const pid = arrived[2] as number
  return pid <= 0 ? null : { pid, uid: (arrived[3] as number) >>> 0, gid: (arrived[4] as number) >>> 0 }
}

/** Asks the kernel to tell with each message who sent it, or no more (Linux; elsewhere nothing happens). */
export function askSender(socket: number, ask: boolean): void {
  if (SO_PASSCRED !== undefined) setsockopt(socket, SOL_SOCKET, SO_PASSCRED, ask ? 1 : 0)
}

/**
 * Copies the descriptors of the message received last out of the exchange. There can be no more than
 * DESCRIPTORS_PER_MESSAGE_MAX: the kernel keeps that bound.
 */
function receivedRights(descriptors: Int32Array, arrived: Int32Array): number {
  let count = 0
  for (let entry = 0; entry < receivedControls(); entry++) {
    const at = 4 * entry
    if (controlIndex[at] !== SOL_SOCKET) continue
    const first = (controlIndex[at + 2] as number) / 4
    if (controlIndex[at + 1] === SCM_CREDENTIALS) arrived.set(controlNumbers.subarray(first, first + 3), 2)
    if (controlIndex[at + 1] !== SCM_RIGHTS) continue
    const many = Math.floor((controlIndex[at + 3] as number) / 4)
    for (let i = 0; i < many; i++) descriptors[count++] = controlNumbers[first + i] as number
  }
  return count
}
