import { lookup } from 'node:dns/promises'
import { chmodSync, statSync, unlinkSync } from 'node:fs'
import { isIP } from 'node:net'
import type { SyscallError } from '../errors.js'
import { BACKLOG_DEFAULT, SOCKET_PATH_MAX } from '../limits.js'
import { bind } from '../syscalls/bind.js'
import { connect } from '../syscalls/connect.js'
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
import { getsockname } from '../syscalls/socket-name.js'
import { setsockopt } from '../syscalls/sockopt.js'
import { READABLE, Watcher } from '../syscalls/watch.js'
import { type SocketAddress, socketAddress } from './address.js'
import { AcceptBatch } from './arrivals.js'

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
  backlog?: number
}

export type ListenOptions = TcpListenOptions | UnixListenOptions

/**
 * A bound socket that accepts connections in batches, without a `net.Server`. Owns its descriptor; a UNIX port also
 * owns its path, and removes it on `close` if it still leads here.
 */
export class ListeningPort {
  /** Where it listens: an address, or the path of a UNIX socket. */
  readonly address: SocketAddress | string
  readonly batch: AcceptBatch
  readonly #options: ListenOptions
  #descriptor: number
  /** A socket whose path somebody removed: nothing new can reach it, but what waits in it is still accepted. */
  #retired: number[] = []
  #inode: bigint | null = null
  #watcher: Watcher | null = null
  #ready: (() => void) | null = null
  #watching = false

  private constructor(descriptor: number, options: ListenOptions) {
    this.#descriptor = descriptor
    this.#options = options
    if ('path' in options) {
      this.address = options.path
      this.#inode = inodeOf(options.path)
      this.batch = new AcceptBatch(null)
      return
    }
    const address = socketAddress(getsockname(descriptor)) as SocketAddress
    const wildcard = address.address === '::' || address.address === '0.0.0.0'
    this.address = address
    this.batch = new AcceptBatch(wildcard ? null : address)
  }

  /**
   * Binds and listens. Gives a port that is not watched yet: clients wait in the kernel's queue.
   * @throws {TypeError | RangeError} an option out of range; {SyscallError} EADDRINUSE, EACCES, EADDRNOTAVAIL, …
   * @see socket(2), bind(2), listen(2)
   */
  static open(options: ListenOptions): ListeningPort {
    checkOptions(options)
    const descriptor = 'path' in options ? openPath(options) : openTcp(options)
    try {
      return new ListeningPort(descriptor, options)
    } catch (error) {
      close(descriptor)
      throw error
    }
  }

  /** The same for a host name, which is looked up first. */
  static async listen(options: ListenOptions): Promise<ListeningPort> {
    if ('path' in options || options.host === undefined || isIP(withoutScope(options.host)) !== 0) {
      return ListeningPort.open(options)
    }
    const { address } = await lookup(options.host)
    return ListeningPort.open({ ...options, host: address })
  }

  /** The descriptor's number, borrowed, for `handover/sendmsg`; -1 once the port is closed. `renew` may change it. */
  get fd(): number {
    return this.#descriptor
  }

  /** Calls `ready` whenever connections wait, until `pause`. */
  watch(ready: () => void): void {
    this.#ready = ready
    this.#watcher ??= new Watcher(this.#descriptor, () => this.#ready?.())
    this.#watcher.watch(READABLE)
    this.#watching = true
    this.#askRetired()
  }

  /** Stops polling: clients wait in the kernel's queue. */
  pause(): void {
    this.#watcher?.watch(0)
    this.#watching = false
  }

  /**
   * Accepts up to `most` connections into `batch`, whose rows the caller takes.
   * @returns how many, 0 when none waits, or -errno (EMFILE, ENFILE: nothing was lost, try later)
   * @see accept(2)
   */
  accept(most: number): number {
    const retired = this.#retired[0]
    if (retired === undefined) return this.batch.fill(this.#descriptor, most)
    const count = this.batch.fill(retired, most)
    if (count > 0) this.#askRetired()
    if (count !== 0) return count
    close(this.#retired.shift() as number)
    return this.accept(most)
  }

  /**
   * Makes sure that a UNIX port's path leads here. Programs remove a socket file before they listen on it; the
   * second of several workers would remove that of the first. Binds the path anew if so, and keeps what waits.
   * @throws {SyscallError} somebody else listens there now
   */
  renew(): void {
    if (!('path' in this.#options) || this.#descriptor < 0 || inodeOf(this.#options.path) === this.#inode) return
    const fresh = openPath(this.#options)
    this.#watcher?.close()
    this.#watcher = null
    this.#retired.push(this.#descriptor)
    this.#descriptor = fresh
    this.#inode = inodeOf(this.#options.path)
    if (this.#watching && this.#ready !== null) this.watch(this.#ready)
  }

  /** No readiness is reported for a retired socket: it is asked until nobody waits in it any more. */
  #askRetired(): void {
    if (this.#retired.length === 0) return
    setImmediate(() => {
      if (this.#watching) this.#ready?.()
    })
  }

  /** Changes the permission bits of a UNIX port's file, to `mode` or by `mode`; a port without a file has none. */
  chmod(mode: number, keep: boolean): void {
    if (!('path' in this.#options) || isAbstract(this.#options.path)) return
    const { path } = this.#options
    chmodSync(path, keep ? (statSync(path).mode & 0o777) | mode : mode)
  }

  /** Closes the port: connections that still wait in its queue are reset. Closing twice does nothing. */
  close(): void {
    if (this.#descriptor < 0) return
    this.#watcher?.close()
    this.#watcher = null
    this.#ready = null
    this.#removePath()
    for (const descriptor of [...this.#retired.splice(0), this.#descriptor]) close(descriptor)
    this.#descriptor = -1
  }

  /** A folder that has become read-only keeps the file; whoever listens there next finds it stale and replaces it. */
  #removePath(): void {
    if (!('path' in this.#options) || this.#inode === null) return
    try {
      if (inodeOf(this.#options.path) === this.#inode) unlinkSync(this.#options.path)
    } catch {
      // the descriptors are closed all the same
    }
  }
}

function withoutScope(host: string): string {
  return host.replace(/%.*$/, '')
}

function checkOptions(options: ListenOptions): void {
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
  if (host !== undefined && isIP(withoutScope(host)) === 0) {
    throw new TypeError(`host: a numeric address, not "${host}"; ListeningPort.listen looks names up`)
  }
}

function openTcp(options: TcpListenOptions): number {
  if (options.host !== undefined) return openTcpAt(options.host, options)
  try {
    return openTcpAt('::', options)
  } catch (error) {
    if (!NO_IPV6.has((error as SyscallError).code)) throw error
    return openTcpAt('0.0.0.0', options)
  }
}

const NO_IPV6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'])

function openTcpAt(host: string, options: TcpListenOptions): number {
  const ipv6 = isIP(withoutScope(host)) === 6
  return opened(socket(ipv6 ? AF_INET6 : AF_INET), (descriptor) => {
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    if (options.reusePort) setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, 1)
    if (ipv6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6Only ? 1 : 0)
    bind(descriptor, { address: host, port: options.port })
    listen(descriptor, options.backlog ?? BACKLOG_DEFAULT, { address: host, port: options.port })
  })
}

function openPath(options: UnixListenOptions): number {
  return opened(socket(AF_UNIX), (descriptor) => {
    try {
      bind(descriptor, { path: options.path })
    } catch (error) {
      if ((error as SyscallError).code !== 'EADDRINUSE' || isAbstract(options.path) || !isStale(options.path))
        throw error
      unlinkSync(options.path)
      bind(descriptor, { path: options.path })
    }
    // Between bind and listen nobody can connect: the mode holds from the first client on.
    if (options.mode !== undefined && !isAbstract(options.path)) chmodSync(options.path, options.mode)
    listen(descriptor, options.backlog ?? BACKLOG_DEFAULT, { address: options.path })
  })
}

/** Whether a socket file has no owner any more. Any other file, or doubt, is no. */
function isStale(path: string): boolean {
  if (!statSync(path).isSocket()) return false
  const probe = socket(AF_UNIX)
  try {
    connect(probe, { path })
    return false
  } catch (error) {
    return (error as SyscallError).code === 'ECONNREFUSED'
  } finally {
    close(probe)
  }
}

function isAbstract(path: string): boolean {
  return path.startsWith('\0')
}

function inodeOf(path: string): bigint | null {
  if (isAbstract(path)) return null
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null
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
