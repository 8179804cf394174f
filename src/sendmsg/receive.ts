import { wholeNumber } from '../arguments.js'
import { ANCILLARY_BYTES_MAX, RECEIVE_DEFAULT, RECEIVE_MAX } from '../limits.js'
import { MSG_CMSG_CLOEXEC, MSG_TRUNC } from '../syscalls/constants.js'
import * as exchange from '../syscalls/exchange.js'
import * as native from '../syscalls/message.js'
import type { Called } from '../syscalls/result.js'
import { type Address, decodeSockaddr } from '../syscalls/sockaddr.js'
import { type ReceivedControlMessage, readControls } from './ancillary.js'
import { type Buffers, buffersOf } from './buffers.js'
import { failure } from './send.js'
import { type DescriptorLike, descriptorOf, flagsOf } from './socket-argument.js'
import { roomFor, trimmed } from './spare.js'

interface Envelope {
  /** Control messages in the order of the kernel; descriptors in them are the caller's, close-on-exec. */
  ancillary: ReceivedControlMessage[]
  /** What the kernel says of the message: MSG_TRUNC, MSG_CTRUNC, MSG_EOR, MSG_OOB, MSG_ERRQUEUE. */
  flags: number
  /** Who sent it; null over TCP, or when the sender has no name, as most ends of UNIX connections. */
  address: Address | null
}

/** What {@link recvmsg} gives. */
export interface ReceivedMessage extends Envelope {
  /** The bytes; none at the end of a stream, and for an empty datagram, which may bring control messages. */
  data: Buffer
}

/** What {@link recvmsgInto} gives. */
export interface ReceivedInto extends Envelope {
  /** Bytes received; the datagram's whole length, more than was stored, if MSG_TRUNC was among the flags asked for. */
  bytes: number
}

/**
 * Receives one message. Borrows the socket, gives every descriptor that comes: all are in `ancillary`, whatever
 * `flags` says, and are close-on-exec. Never blocks.
 *
 * Without an `ancillarySize` descriptors that come are closed by the kernel, and `flags` has MSG_CTRUNC; so it has when
 * there was room for some only. At the end of a stream `data` is empty and so is `ancillary`.
 * @param socket         a descriptor number or an object with one in `fd`
 * @param maxSize        room for data: 0 … 2147479552 bytes, default 65536. What a datagram has beyond is gone (MSG_TRUNC)
 * @param ancillarySize  room for control messages: 0 … 65536 bytes, default 0; a sum of CMSG_SPACE
 * @param flags          MSG_ constants, or-ed. With MSG_PEEK the message stays, and each call gives new descriptors
 * @returns the message, or `null` when it would block
 * @throws {TypeError | RangeError} a wrong argument, before any call
 * @throws {SyscallError} EBADF, ENOTSOCK, ENOTCONN, ECONNREFUSED, ECONNRESET, EINVAL, ENOTSUP, ENOMEM, EHOSTUNREACH
 * @see recvmsg(2), unix(7), cmsg(3)
 */
export function recvmsg(
  socket: DescriptorLike,
  maxSize = RECEIVE_DEFAULT,
  ancillarySize = 0,
  flags = 0,
): ReceivedMessage | null {
  const descriptor = descriptorOf('socket', socket, 'recvmsg')
  wholeNumber('maxSize', maxSize, 0, RECEIVE_MAX)
  wholeNumber('ancillarySize', ancillarySize, 0, ANCILLARY_BYTES_MAX)
  const room = roomFor(maxSize, (flagsOf(flags) & MSG_TRUNC) !== 0)
  const received = native.recvmsg(descriptor, room, flags, ancillarySize)
  if (received < 0) return refused(received, recvmsg)
  try {
    const data = trimmed(room, received)
    const { ancillary, flags: answered, address } = envelope(flags)
    return { data, ancillary, flags: answered, address }
  } catch (error) {
    native.closeListed(exchange.control, exchange.controlIndex, exchange.receivedControls())
    throw error
  }
}

/**
 * Receives one message into buffers of the caller's, one after the other, each filled before the next. Bytes behind
 * what was received stay as they are. Else it is as {@link recvmsg}, and allocates no memory for data.
 * @param buffers  one buffer, or up to 1024; slices of larger ones too
 * @returns bytes received and the rest of the message, or `null` when it would block
 * @throws {TypeError | RangeError} a wrong argument, before any call
 * @throws {SyscallError} EBADF, ENOTSOCK, ENOTCONN, ECONNREFUSED, ECONNRESET, EINVAL, ENOTSUP, ENOMEM, EHOSTUNREACH
 * @see recvmsg(2), readv(2)
 */
export function recvmsgInto(
  socket: DescriptorLike,
  buffers: Buffers,
  ancillarySize = 0,
  flags = 0,
): ReceivedInto | null {
  const descriptor = descriptorOf('socket', socket, 'recvmsg')
  const parts = buffersOf('buffers', buffers)
  wholeNumber('ancillarySize', ancillarySize, 0, ANCILLARY_BYTES_MAX)
  const bytes = native.recvmsg(descriptor, parts, flagsOf(flags), ancillarySize)
  if (bytes < 0) return refused(bytes, recvmsgInto)
  try {
    const { ancillary, flags: answered, address } = envelope(flags)
    return { bytes, ancillary, flags: answered, address }
  } catch (error) {
    native.closeListed(exchange.control, exchange.controlIndex, exchange.receivedControls())
    throw error
  }
}

function refused(errno: number, called: Called): null {
  if (errno === native.WOULD_BLOCK) return null
  throw failure(errno, 'recvmsg', called)
}

/** What came beside the bytes, read out of the exchange. */
function envelope(flags: number): Envelope {
  return {
    ancillary: readControls(exchange.control, exchange.controlIndex, exchange.receivedControls()),
    flags: answeredFlags(exchange.receivedFlags(), flags),
    address: decodeSockaddr(exchange.address, 0, exchange.addressLength()),
  }
}

/** The kernel's word, without the echo of MSG_CMSG_CLOEXEC that every receive asks for. */
export function answeredFlags(answered: number, asked: number): number {
  return answered & ~(MSG_CMSG_CLOEXEC & ~asked)
}
