/** handover/sendmsg: sendmsg(2) and recvmsg(2), whole, and the socket calls around them that Node has no names for. */
export { SyscallError } from '../errors.js'
export * from '../syscalls/constants.js'
export type { Credentials } from '../syscalls/credentials.js'
export type { Address, AddressLike, Ipv4Address, Ipv6Address, RawAddress, UnixAddress } from '../syscalls/sockaddr.js'
export { CMSG_LEN, CMSG_SPACE, type ControlMessage, type ReceivedControlMessage } from './ancillary.js'
export type { Buffers, Bytes } from './buffers.js'
export type { Codec } from './codec.js'
export { type ErrorOrigin, type ExtendedError, ipRecverr, ipv6Recverr } from './codec-error.js'
export {
  type IpPacketInfo,
  type Ipv6PacketInfo,
  ipPktinfo,
  ipTos,
  ipTtl,
  ipv6Hoplimit,
  ipv6Pktinfo,
  ipv6Tclass,
  udpGro,
  udpSegment,
} from './codecs-internet.js'
export { credentials, pidfd, type RightsCodec, rights, timestamp, timestampns } from './codecs-socket.js'
export { close, closeDescriptors, Descriptor, dup, takeDescriptors } from './descriptor.js'
export { type Message, recvmmsg, sendmmsg } from './many.js'
export { getsockopt, setsockopt } from './options.js'
export { readable, urgent, type WaitOptions, writable } from './readiness.js'
export { type ReceivedInto, type ReceivedMessage, recvmsg, recvmsgInto } from './receive.js'
export { sendmsg } from './send.js'
export type { DescriptorLike } from './socket-argument.js'
export { type SocketOptionName, type SocketOptionValues, socketOptionNames } from './socket-options.js'
export {
  type Accepted,
  accept,
  bind,
  connect,
  getPeerCredentials,
  getpeername,
  getSocketFamily,
  getsockname,
  listen,
  shutdown,
  socket,
  socketpair,
} from './sockets.js'
