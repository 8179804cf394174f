/** Sockets, made and asked: the calls around sendmsg and recvmsg that Node has no names for. */
import { wholeNumber } from '../arguments.js'
import { BACKLOG_DEFAULT } from '../limits.js'
import * as accepting from '../syscalls/accept.js'
import * as binding from '../syscalls/bind.js'
import * as connecting from '../syscalls/connect.js'
import { AF_UNIX, SHUT_RDWR, SO_ACCEPTCONN, SO_DOMAIN, SOCK_STREAM, SOL_SOCKET } from '../syscalls/constants.js'
import { type Credentials, peerCredentials } from '../syscalls/credentials.js'
import * as exchange from '../syscalls/exchange.js'
import * as listening from '../syscalls/listen.js'
import { pollReadable } from '../syscalls/poll.js'
import { checked } from '../syscalls/result.js'
import { type Address, type AddressLike, decodeSockaddr, familyAt } from '../syscalls/sockaddr.js'
import * as making from '../syscalls/socket.js'
import * as naming from '../syscalls/socket-name.js'
import { getsockoptInt } from '../syscalls/sockopt.js'
import { Descriptor } from './descriptor.js'
import { type DescriptorLike, descriptorOf } from './socket-argument.js'

const I32_MAX = 0x7fffffff

/**
 * Makes a socket, non-blocking and close-on-exec. Gives the descriptor.
 * @param family    AF_INET, AF_INET6, AF_UNIX …
 * @param type      SOCK_STREAM (default), SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW
 * @param protocol  an IPPROTO_ number; 0, the default, is the usual one
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EMFILE, ENFILE, EPERM, EACCES, EINVAL
 * @see socket(2)
 */
export function socket(family: number, type = SOCK_STREAM, protocol = 0): Descriptor {
  checkKind(family, type, protocol)
  return new Descriptor(making.socket(family, type, protocol, socket))
}

/**
 * Makes two connected sockets, non-blocking and close-on-exec. Gives both descriptors.
 * @param family  AF_UNIX, the default
 * @param type    SOCK_STREAM (default), SOCK_DGRAM, SOCK_SEQPACKET (not on macOS)
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, ENOTSUP, EMFILE, ENFILE, EINVAL
 * @see socketpair(2), unix(7)
 */
export function socketpair(family = AF_UNIX, type = SOCK_STREAM, protocol = 0): [Descriptor, Descriptor] {
  checkKind(family, type, protocol)
  const [first, second] = making.socketpair(family, type, protocol, socketpair)
  return [new Descriptor(first), new Descriptor(second)]
}

function checkKind(family: unknown, type: unknown, protocol: unknown): void {
  wholeNumber('family', family, 0, I32_MAX)
  wholeNumber('type', type, 0, I32_MAX)
  wholeNumber('protocol', protocol, 0, I32_MAX)
}

/**
 * Gives a socket its address; a UNIX path is created. Borrows the descriptor.
 * @param address  port 0 lets the kernel choose one; the empty path an abstract name (Linux). `getsockname` tells it
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EADDRINUSE, EADDRNOTAVAIL, EACCES, EINVAL (it has one), ENOENT, ENAMETOOLONG, EAFNOSUPPORT,
 *   EBADF, ENOTSOCK; with `address` and `port`
 * @see bind(2), unix(7)
 */
export function bind(socket: DescriptorLike, address: AddressLike): void {
  binding.bind(descriptorOf('socket', socket, 'bind'), address, bind)
}

/**
 * Connects a socket, or gives a datagram socket its peer. Borrows the descriptor. Never blocks on a socket made here.
 * @returns true: it is connected; false: it is under way. Wait with `writable`, then the option SO_ERROR says 0, or the
 *   number of the error
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} ECONNREFUSED, ENOENT, EACCES, EAGAIN (a UNIX listener's queue is full: try again), EISCONN,
 *   EALREADY, EPROTOTYPE, ENETUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT, EBADF, ENOTSOCK; with `address` and `port`
 * @see connect(2)
 */
export function connect(socket: DescriptorLike, address: AddressLike): boolean {
  return connecting.connect(descriptorOf('socket', socket, 'connect'), address, connect)
}

/**
 * Makes a bound socket accept connections. Borrows the descriptor.
 * @param backlog  connections the kernel queues, default 511; cut to net.core.somaxconn
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EADDRINUSE, ENOTSUP, EINVAL, EBADF, ENOTSOCK
 * @see listen(2)
 */
export function listen(socket: DescriptorLike, backlog = BACKLOG_DEFAULT): void {
  const descriptor = descriptorOf('socket', socket, 'listen')
  listening.listen(descriptor, wholeNumber('backlog', backlog, 0, I32_MAX), undefined, listen)
}

/** What {@link accept} gives. */
export interface Accepted {
  descriptor: Descriptor
  /** The peer's; null when it has none, as most clients of a UNIX socket. */
  address: Address | null
}

const accepted = new Int32Array(1)

/**
 * Accepts one waiting connection, non-blocking and close-on-exec. Borrows the listener, gives the connection. Waits for
 * none, unless the listener is a blocking one of another program's and that program takes the connection first.
 * @returns `null` when none waits: `readable` tells when
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EMFILE, ENFILE, ENOBUFS, ENOMEM, EINVAL (it does not listen), ENOTSUP, EBADF, ENOTSOCK
 * @see accept(2)
 */
export function accept(socket: DescriptorLike): Accepted | null {
  const listener = descriptorOf('socket', socket, 'accept')
  // A socket that does not listen is never ready to: accept itself says what it is.
  if (!pollReadable(listener, 0) && getsockoptInt(listener, SOL_SOCKET, SO_ACCEPTCONN, accept) !== 0) return null
  const peer = new Uint8Array(exchange.address.length)
  const count = checked(accepting.accept(listener, accepted, peer, peer.length, 1), 'accept', undefined, accept)
  if (count === 0) return null
  const address = decodeSockaddr(peer, 0, exchange.addressLength())
  return { descriptor: new Descriptor(accepted[0] as number), address }
}

/**
 * Ends one or both directions of a connection, for every copy of the descriptor in every process. Borrows it.
 * @param how  SHUT_RD, SHUT_WR or SHUT_RDWR (default)
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} ENOTCONN, EINVAL, EBADF, ENOTSOCK
 * @see shutdown(2)
 */
export function shutdown(socket: DescriptorLike, how = SHUT_RDWR): void {
  making.shutdown(descriptorOf('socket', socket, 'shutdown'), wholeNumber('how', how, 0, I32_MAX), shutdown)
}

/**
 * A socket's own address; null when it has none. Borrows the descriptor.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF, ENOTSOCK
 * @see getsockname(2)
 */
export function getsockname(socket: DescriptorLike): Address | null {
  return naming.getsockname(descriptorOf('socket', socket, 'getsockname'), getsockname)
}

/**
 * The address of the other end; null when that has none. Borrows the descriptor.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} ENOTCONN (also when the peer has gone), EBADF, ENOTSOCK
 * @see getpeername(2)
 */
export function getpeername(socket: DescriptorLike): Address | null {
  return naming.getpeername(descriptorOf('socket', socket, 'getpeername'), getpeername)
}

/**
 * The AF_ number of a socket of any kind. Borrows the descriptor.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF, ENOTSOCK
 * @see socket(7), SO_DOMAIN
 */
export function getSocketFamily(socket: DescriptorLike): number {
  const descriptor = descriptorOf('socket', socket, 'getsockopt')
  if (SO_DOMAIN !== undefined) return getsockoptInt(descriptor, SOL_SOCKET, SO_DOMAIN, getSocketFamily)
  naming.getsockname(descriptor, getSocketFamily)
  return familyAt(exchange.address, 0)
}

/**
 * Who was at the other end of a UNIX stream or seqpacket socket when it was connected, as the kernel vouches for it.
 * Borrows the descriptor.
 * @returns numbers as this process's namespaces see them; `pid` is 0 where the system does not tell it
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} ENOTCONN, ENODATA, ENOPROTOOPT, EBADF, ENOTSOCK
 * @see unix(7), SO_PEERCRED; getpeereid(3)
 */
export function getPeerCredentials(socket: DescriptorLike): Credentials {
  return peerCredentials(descriptorOf('socket', socket, 'getsockopt'), getPeerCredentials)
}
