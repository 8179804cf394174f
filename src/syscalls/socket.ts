import { constant, kernel } from './kernel.js'
import { checked } from './result.js'

/**
 * Makes a stream socket, non-blocking and close-on-exec. Gives the descriptor.
 * @throws {SyscallError} EMFILE, ENFILE, EAFNOSUPPORT
 * @see socket(2)
 */
export function socket(family: 'ipv4' | 'ipv6' | 'unix'): number {
  const domain = { ipv4: 'AF_INET', ipv6: 'AF_INET6', unix: 'AF_UNIX' }[family]
  return checked(kernel.socket(constant(domain), constant('SOCK_STREAM')), 'socket', undefined, socket)
}

/**
 * Makes two connected UNIX stream sockets, non-blocking and close-on-exec. Gives both descriptors.
 * @throws {SyscallError} EMFILE, ENFILE
 * @see socketpair(2)
 */
export function socketpair(): [number, number] {
  const ends = new Int32Array(2)
  checked(kernel.socketpair(ends), 'socketpair', undefined, socketpair)
  return [ends[0] as number, ends[1] as number]
}
