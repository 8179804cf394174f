import { isIP } from 'node:net'
import type { SyscallError } from '../errors.js'
import { BACKLOG_DEFAULT, SOCKET_PATH_MAX } from '../limits.js'
import { bind } from '../syscalls/bind.js'
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOL_SOCKET,
} from '../syscalls/constants.js'
import { close } from '../syscalls/descriptor.js'
import { listen } from '../syscalls/listen.js'
import { socket } from '../syscalls/socket.js'
import { setsockopt } from '../syscalls/sockopt.js'
import { bindPath, isAbstract } from './socket-path.js'

export interface TcpListenOptions {
  /** A numeric address; every address of the machine when left out ('::', or '0.0.0.0' without IPv6). */
  host?: string
  /** 0 … 65535; 0 lets the kernel choose. */
  port: number
  /** Pending connections the kernel queues. Default 511. */
  backlog?: number
  /** Refuse IPv4 clients on an IPv6 address. Default false. */
  ipv6Only?: boolean
  /** Let other sockets bind the same address, each with its own queue. Default false. */
  reusePort?: boolean
}

export interface UnixListenOptions {
  /**
   * At most 107 bytes on Linux, 103 on macOS. A stale file of a dead owner is replaced, a live one never. One that
   * starts with a zero byte is an abstract name: Linux only, in no folder, without permissions.
   */
  path: string
  /** Permission bits of the socket file. Default: what the umask leaves. */
  mode?: number
  /** Who the socket file shall belong to. Default: this process's user and group. */
  owner?: { readonly uid: number; readonly gid: number }
  backlog?: number
}

export type ListenOptions = TcpListenOptions | UnixListenOptions

/** What is known of a port that was opened elsewhere. */
export interface AdoptOptions {
  /** The path of a UNIX port, if it is to be removed when nobody has the port any more. Default: it is left there. */
  path?: string
  /** How it was opened. */
  opened?: ListenOptions
}

/** Whether `host` is an address that need not be looked up. */
export function isNumeric(host: string): boolean {
  return isIP(withoutScope(host)) !== 0
}

/** @throws {TypeError | RangeError} an option out of range, by its name */
export function checkOptions(options: ListenOptions): void {
  const { backlog } = options
  if (backlog !== undefined && (!Number.isInteger(backlog) || backlog < 1)) {
    throw new RangeError(`backlog: a whole number from 1, not ${backlog}`)
  }
  if ('path' in options) {
    const length = Buffer.byteLength(options.path)
    const most = SOCKET_PATH_MAX + (isAbstract(options.path) ? 1 : 0) // no terminator
    if (length === 0 || length > most || (options.path.includes('\0') && !isAbstract(options.path))) {
      throw new RangeError(
        `path: 1 to ${SOCKET_PATH_MAX} bytes, a zero byte only in front, not ${length} (${options.path})`,
      )
    }
    return
  }
  const { host, port } = options
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new RangeError(`port: 0 to 65535, not ${port}`)
  if (host !== undefined && !isNumeric(host)) {
    throw new TypeError(`host: a numeric address, not "${host}"; ListeningPort.listen looks names up`)
  }
}

/**
 * Binds and listens. Gives the descriptor.
 * @throws {SyscallError} EADDRINUSE, EACCES, EADDRNOTAVAIL, …
 */
export function openPort(options: ListenOptions): number {
  return 'path' in options ? openPath(options) : openTcp(options)
}

/**
 * Checks that nobody listens there, not even somebody who would share the address. No client gets in meanwhile.
 * @throws {SyscallError} EADDRINUSE, EACCES, EADDRNOTAVAIL, …
 */
export function assertFree(options: TcpListenOptions): void {
  close(openTcp({ ...options, reusePort: false }, false))
}

function openTcp(options: TcpListenOptions, listens = true): number {
  if (options.host !== undefined) return openTcpAt(options.host, options, listens)
  try {
    return openTcpAt('::', options, listens)
  } catch (error) {
    if (!NO_IPV6.has((error as SyscallError).code)) throw error
    return openTcpAt('0.0.0.0', options, listens)
  }
}

const NO_IPV6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'])

function openTcpAt(host: string, options: TcpListenOptions, listens: boolean): number {
  const ipv6 = isIP(withoutScope(host)) === 6
  return opened(socket(ipv6 ? AF_INET6 : AF_INET), (descriptor) => {
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    if (options.reusePort) setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, 1)
    if (ipv6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6Only ? 1 : 0)
    bind(descriptor, { address: host, port: options.port })
    if (listens) listen(descriptor, options.backlog ?? BACKLOG_DEFAULT, { address: host, port: options.port })
  })
}

function openPath(options: UnixListenOptions): number {
  return opened(socket(AF_UNIX), (descriptor) => {
    bindPath(descriptor, options.path, options.mode, options.owner)
    listen(descriptor, options.backlog ?? BACKLOG_DEFAULT, { address: options.path })
  })
}

function withoutScope(host: string): string {
  return host.replace(/%.*$/, '')
}

function opened(descriptor: number, prepare: (descriptor: number) => void): number {
  try {
    prepare(descriptor)
    return descriptor
  } catch (error) {
    close(descriptor)
    throw error
  }
}
