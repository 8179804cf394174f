import { shown, wholeNumber } from '../arguments.js'
import { ANCILLARY_BYTES_MAX, MESSAGES_PER_CALL_MAX, RECEIVE_DEFAULT } from '../limits.js'
import { MSG_TRUNC } from '../syscalls/constants.js'
import * as exchange from '../syscalls/exchange.js'
import { constant } from '../syscalls/kernel.js'
import * as native from '../syscalls/message.js'
import { type AddressLike, decodeSockaddr, encodeSockaddr } from '../syscalls/sockaddr.js'
import { CMSG_SPACE, type ControlMessage, type Controls, controlsOf, placeControls, readControls } from './ancillary.js'
import { type Buffers, buffersOf } from './buffers.js'
import { checkCarrier } from './carrier.js'
import { answeredFlags, type ReceivedMessage } from './receive.js'
import { failure } from './send.js'
import { type DescriptorLike, descriptorOf, flagsOf } from './socket-argument.js'

const ADDRESS_BYTES = constant('ADDRESS_BYTES')
/** Numbers in a row of the native calls. */
const SENT_ROW = 3
const RECEIVED_ROW = 4
const ENTRY = 4

/** Larger room than this is not kept from one receive to the next, in bytes. */
const SLAB_KEPT_MAX = 4 * 1024 * 1024
let slab = Buffer.alloc(0)

/** Room for `size` bytes, from which every message is copied. @param zeroed  as the kernel may not write all of it */
function slabOf(size: number, zeroed: boolean): Buffer {
  if (zeroed) return Buffer.alloc(size)
  if (size > SLAB_KEPT_MAX) return Buffer.allocUnsafeSlow(size)
  if (slab.length < size) slab = Buffer.allocUnsafeSlow(size)
  return slab
}

/** One message of {@link sendmmsg}, its parts as {@link sendmsg} takes them. */
export interface Message {
  readonly data: Buffers
  readonly ancillary?: Iterable<ControlMessage>
  readonly address?: AddressLike | null
}

/**
 * Sends several messages in one system call (one each where the system has no sendmmsg). Borrows everything. Never
 * blocks. What one message could not take ends the row: the messages behind it were not sent.
 * @param messages  1 … 1024 of them
 * @returns bytes taken of each message that was sent, or `null` when the first would block; an error that a later
 *   message meets is met again by the next call
 * @throws {TypeError | RangeError} a wrong argument, before any call
 * @throws {SyscallError} as {@link sendmsg}, for the first message: EBADF, ENOTSOCK, EPIPE, ECONNRESET, ENOTCONN,
 *   EDESTADDRREQ, EISCONN, EMSGSIZE, ENOBUFS, ETOOMANYREFS, ECONNREFUSED, ENOENT, EACCES, EPERM, ESRCH, EINVAL, ENOTSUP,
 *   EPROTOTYPE, EAFNOSUPPORT, ENETUNREACH, EHOSTUNREACH, ENOMEM
 * @see sendmmsg(2)
 */
export function sendmmsg(socket: DescriptorLike, messages: Iterable<Message>, flags = 0): number[] | null {
  const descriptor = descriptorOf('socket', socket, 'sendmmsg')
  const parts: Uint8Array[] = []
  const all: (Controls | null)[] = []
  const addresses: Uint8Array[] = []
  const counts: number[] = []
  const iterable = messages as Iterable<unknown> | null | undefined
  if (typeof messages !== 'object' || typeof iterable?.[Symbol.iterator] !== 'function') {
    throw new TypeError(`messages: an iterable of { data, ancillary, address }, not ${shown(messages)}`)
  }
  for (const message of messages) {
    const name = `messages[${counts.length}]`
    if (counts.length === MESSAGES_PER_CALL_MAX) {
      throw new RangeError(`messages: at most ${MESSAGES_PER_CALL_MAX} go with one call, not more`)
    }
    if (typeof message !== 'object' || message === null) {
      throw new TypeError(`${name}: an object { data, ancillary, address }, not ${shown(message)}`)
    }
    const { data, ancillary, address } = message
    const buffers = buffersOf(`${name}.data`, data)
    const controls = ancillary === undefined ? null : controlsOf(ancillary, `${name}.ancillary`)
    if (controls !== null && controls.descriptors > 0) checkCarrier(socket, descriptor, buffers, `${name}.data`)
    const length = address === undefined || address === null ? 0 : encodeSockaddr(address, `${name}.address`)
    addresses.push(exchange.address.slice(0, length))
    all.push(controls)
    const before = parts.length
    if (Array.isArray(buffers)) parts.push(...buffers)
    else parts.push(buffers)
    counts.push(parts.length - before)
  }
  if (counts.length === 0) throw new RangeError('messages: at least one, not none')
  return sendAll(descriptor, parts, counts, all, addresses, flagsOf(flags))
}

function sendAll(
  descriptor: number,
  parts: Uint8Array[],
  counts: number[],
  all: (Controls | null)[],
  addresses: Uint8Array[],
  flags: number,
): number[] | null {
  const rows = new Int32Array(SENT_ROW * counts.length)
  const control = new Uint8Array(all.reduce((sum, controls) => sum + (controls?.space ?? 0), 0))
  const index = new Int32Array(ENTRY * all.reduce((sum, controls) => sum + (controls?.data.length ?? 0), 0))
  const slots = new Uint8Array(ADDRESS_BYTES * counts.length)
  let at = 0
  let entries = 0
  all.forEach((controls, i) => {
    const address = addresses[i] as Uint8Array
    slots.set(address, ADDRESS_BYTES * i)
    rows.set([counts[i] as number, controls?.data.length ?? 0, address.length], SENT_ROW * i)
    if (controls === null) return
    placeControls(controls, control, index, at, entries)
    at += controls.space
    entries += controls.data.length
  })
  const sent = native.sendmmsg(descriptor, parts, rows, counts.length, control, index, slots, flags)
  if (sent === native.WOULD_BLOCK) return null
  if (sent < 0) throw failure(sent, 'sendmmsg', sendmmsg)
  return Array.from({ length: sent }, (_, i) => rows[SENT_ROW * i] as number)
}

/**
 * Receives several messages in one system call (one each where the system has no recvmmsg): those that wait, at most
 * `count`. Borrows the socket, gives every descriptor that comes. Never blocks.
 * @param count          1 … 1024 messages
 * @param maxSize        room for the data of each: 0 … 65536 bytes, default 65536
 * @param ancillarySize  room for the control messages of each: 0 … 65536 bytes, default 0
 * @returns at least one message, each as {@link recvmsg} gives it, or `null` when it would block. At the end of a
 *   stream every one of them is empty
 * @throws {TypeError | RangeError} a wrong argument, before any call
 * @throws {SyscallError} EBADF, ENOTSOCK, ENOTCONN, ECONNREFUSED, ECONNRESET, EINVAL, ENOTSUP, ENOMEM, EHOSTUNREACH
 * @see recvmmsg(2)
 */
export function recvmmsg(
  socket: DescriptorLike,
  count: number,
  maxSize = RECEIVE_DEFAULT,
  ancillarySize = 0,
  flags = 0,
): ReceivedMessage[] | null {
  const descriptor = descriptorOf('socket', socket, 'recvmmsg')
  wholeNumber('count', count, 1, MESSAGES_PER_CALL_MAX)
  wholeNumber('maxSize', maxSize, 0, RECEIVE_DEFAULT)
  wholeNumber('ancillarySize', ancillarySize, 0, ANCILLARY_BYTES_MAX)
  const data = slabOf(count * maxSize, (flagsOf(flags) & MSG_TRUNC) !== 0)
  const control = new Uint8Array(count * ancillarySize)
  const index = new Int32Array(ENTRY * count * (Math.floor(ancillarySize / CMSG_SPACE(0)) + 1))
  const addresses = new Uint8Array(ADDRESS_BYTES * count)
  const rows = new Int32Array(RECEIVED_ROW * count)
  const received = native.recvmmsg(
    descriptor,
    data,
    count,
    maxSize,
    control,
    ancillarySize,
    index,
    addresses,
    rows,
    flags,
  )
  if (received === native.WOULD_BLOCK) return null
  if (received < 0) throw failure(received, 'recvmmsg', recvmmsg)
  const messages: ReceivedMessage[] = []
  let entry = 0
  try {
    for (let i = 0; i < received; i++) {
      const [bytes, answered, addressLength, controls] = rows.subarray(RECEIVED_ROW * i) as unknown as number[]
      messages.push({
        data: Buffer.from(data.subarray(maxSize * i, maxSize * i + Math.min(bytes as number, maxSize))),
        ancillary: readControls(control, index, controls as number, entry),
        flags: answeredFlags(answered as number, flags),
        address: decodeSockaddr(addresses, ADDRESS_BYTES * i, addressLength as number),
      })
      entry += controls as number
    }
    return messages
  } catch (error) {
    let listed = 0
    for (let i = 0; i < received; i++) listed += rows[RECEIVED_ROW * i + 3] as number
    native.closeListed(control, index, listed)
    throw error
  }
}
