import { SyscallError } from '../errors.js'
import * as exchange from '../syscalls/exchange.js'
import * as native from '../syscalls/message.js'
import type { Called } from '../syscalls/result.js'
import { type AddressLike, encodeSockaddr, placeOf } from '../syscalls/sockaddr.js'
import { type ControlMessage, controlsOf, placeControls } from './ancillary.js'
import { type Buffers, buffersOf } from './buffers.js'
import { checkCarrier } from './carrier.js'
import { type DescriptorLike, descriptorOf, flagsOf } from './socket-argument.js'

/**
 * Sends one message: the bytes of all buffers in order, control messages with them. Borrows everything, also the
 * descriptors in an SCM_RIGHTS message: the receiver gets copies, and the caller closes his own. Never blocks, and
 * never raises SIGPIPE.
 *
 * A short count on a stream means that every control message went with the first byte: send only the rest of the
 * bytes, without them. After `null` nothing went.
 * @param socket     a descriptor number or an object with one in `fd`
 * @param data       one buffer or up to 1024, gathered without a copy
 * @param ancillary  `[level, type, data]` each, raw or made by a codec; at most 253 descriptors and 65536 bytes in all
 * @param flags      MSG_ constants, or-ed
 * @param address    where a datagram goes; left out, or null, on a connected socket
 * @returns bytes taken, or `null` when it would block
 * @throws {TypeError | RangeError} a wrong argument, before any call; also descriptors without a byte on a stream, or
 *   over another socket than a UNIX one, which the kernel would drop silently
 * @throws {SyscallError} EBADF, ENOTSOCK, EPIPE, ECONNRESET, ENOTCONN, EDESTADDRREQ, EISCONN, EMSGSIZE, ENOBUFS,
 *   ETOOMANYREFS, ECONNREFUSED, ENOENT, EACCES, EPERM, ESRCH, EINVAL, ENOTSUP, EPROTOTYPE, EAFNOSUPPORT, ENETUNREACH,
 *   EHOSTUNREACH
 * @see sendmsg(2), unix(7), cmsg(3)
 */
export function sendmsg(
  socket: DescriptorLike,
  data: Buffers,
  ancillary?: Iterable<ControlMessage>,
  flags = 0,
  address?: AddressLike | null,
): number | null {
  const descriptor = descriptorOf('socket', socket, 'sendmsg')
  const parts = buffersOf('data', data)
  const controls = ancillary === undefined ? null : controlsOf(ancillary)
  const checkedFlags = flagsOf(flags)
  if (controls !== null && controls.descriptors > 0) checkCarrier(socket, descriptor, parts)
  const addressLength = address === undefined || address === null ? 0 : encodeSockaddr(address)
  // From here to the call no code of the caller's runs: the exchange is ours.
  if (controls !== null) placeControls(controls, exchange.control, exchange.controlIndex)
  const sent = native.sendmsg(descriptor, parts, checkedFlags, controls?.data.length ?? 0, addressLength)
  if (sent >= 0) return sent
  if (sent === native.WOULD_BLOCK) return null
  throw failure(sent, 'sendmsg', sendmsg, address)
}

/** The error of a call, its stack starting where the caller called `called`. */
export function failure(errno: number, syscall: string, called: Called, address?: AddressLike | null): SyscallError {
  const error = new SyscallError(errno, syscall, address ? placeOf(address) : {})
  Error.captureStackTrace(error, called)
  return error
}
