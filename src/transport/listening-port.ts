import { lookup } from 'node:dns/promises'
import type net from 'node:net'
import { resolve } from 'node:path'
import { shown } from '../arguments.js'
import { HandoverError } from '../errors.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import { SO_ACCEPTCONN, SO_TYPE, SOCK_STREAM, SOL_SOCKET } from '../syscalls/constants.js'
import { close, setCloseOnExec } from '../syscalls/descriptor.js'
import { getsockname } from '../syscalls/socket-name.js'
import { getsockoptInt } from '../syscalls/sockopt.js'
import * as closedWithThread from '../syscalls/thread-end.js'
import { READABLE, Watcher } from '../syscalls/watch.js'
import { type SocketAddress, socketAddress } from './address.js'
import { AcceptBatch } from './arrivals.js'
import { type AdoptOptions, checkOptions, isNumeric, type ListenOptions, openPort } from './listen-options.js'
import { assertHere } from './movable.js'
import { serveOn } from './server-port.js'
import { changeMode, inodeOf, isAbstract, isSameFile, removeIfLast, type SocketFile } from './socket-path.js'

export type { ListenOptions, TcpListenOptions, UnixListenOptions } from './listen-options.js'

/**
 * A bound socket that accepts connections in batches, without a `net.Server`. Owns its descriptor; a UNIX port also
 * owns its path, and removes it on `close` if it still leads here and no other process has the port.
 */
export class ListeningPort {
  /** Where it listens: an address, or the path of a UNIX socket. */
  readonly address: SocketAddress | string
  readonly batch: AcceptBatch
  /** How it was opened, here or elsewhere; null: nobody says. */
  readonly options: ListenOptions | null
  /** What is removed with the last of its owners. */
  readonly #path: string | null
  #descriptor: number
  /** A socket whose path somebody removed: nothing new can reach it, but what waits in it is still accepted. */
  #retired: number[] = []
  #file: SocketFile | null = null
  #watcher: Watcher | null = null
  #ready: (() => void) | null = null
  #watching = false
  #referenced = true
  /** Another has it now, and looks after its path. */
  #given = false

  private constructor(descriptor: number, options: ListenOptions | null, path: string | null) {
    this.#descriptor = descriptor
    this.options = options
    this.#path = path
    this.#file = this.#fileNow()
    const named = getsockname(descriptor)
    const address = socketAddress(named)
    const wildcard = address?.address === '::' || address?.address === '0.0.0.0'
    this.address = path ?? address ?? (named?.family === 'unix' ? named.path : '')
    this.batch = new AcceptBatch(wildcard ? null : address)
    closedWithThread.add(descriptor)
  }

  /**
   * Binds and listens. Gives a port that is not watched yet: clients wait in the kernel's queue.
   * @throws {TypeError | RangeError} an option out of range; {SyscallError} EADDRINUSE, EACCES, EADDRNOTAVAIL, …
   * @see socket(2), bind(2), listen(2)
   */
  static open(options: ListenOptions): ListeningPort {
    checkOptions(options)
    const descriptor = openPort(options)
    try {
      return new ListeningPort(descriptor, options, 'path' in options ? options.path : null)
    } catch (error) {
      close(descriptor)
      throw error
    }
  }

  /** The same for a host name, which is looked up first. */
  static async listen(options: ListenOptions): Promise<ListeningPort> {
    if ('path' in options || options.host === undefined || isNumeric(options.host)) return ListeningPort.open(options)
    const { address } = await lookup(options.host)
    return ListeningPort.open({ ...options, host: address })
  }

  /**
   * Makes a port of a descriptor that listens already, wherever it comes from: it gets no other mode, backlog or path.
   * Takes the descriptor, also when it throws, unless it is on its way elsewhere; what others have of it goes on
   * listening when the port is closed.
   * @param options.path  the path of a UNIX port, if it is to be removed when nobody has the port any more; without it,
   *   the path is left where it is
   * @param options.opened  how it was opened elsewhere, so that `renew` can do it anew
   * @throws {TypeError} it is no stream socket that listens
   * @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE: the Descriptor is on its way
   * @throws {SyscallError} EBADF
   */
  static adopt(descriptor: number | Descriptor, options: AdoptOptions = {}): ListeningPort {
    if (descriptor instanceof Descriptor) assertHere(descriptor)
    const number = descriptor instanceof Descriptor ? descriptor.release() : descriptor
    if (typeof number !== 'number')
      throw new TypeError(`descriptor: a descriptor number or a Descriptor, not ${shown(number)}`)
    try {
      if (!listens(number)) throw new TypeError(`descriptor: a stream socket that listens, not ${number}`)
      setCloseOnExec(number)
      const { path, opened = null } = options
      return new ListeningPort(number, opened, path === undefined ? null : isAbstract(path) ? path : resolve(path))
    } catch (error) {
      if ((error as { code?: string }).code !== 'EBADF') close(number)
      throw error
    }
  }

  /** The descriptor's number, borrowed, for `handover/sendmsg`; -1 once the port is closed. `renew` may change it. */
  get fd(): number {
    return this.#descriptor
  }

  /** The path that is removed with its last owner; null: none, or it is not ours. */
  get path(): string | null {
    return this.#path
  }

  /** Every descriptor that clients may wait at, `fd` first. Borrowed. @internal */
  get descriptors(): readonly number[] {
    return this.#descriptor < 0 ? [] : [this.#descriptor, ...this.#retired]
  }

  /** Adds sockets that listened on its path before it was bound anew. Takes the descriptors. @internal */
  addRetired(descriptors: readonly number[]): void {
    for (const descriptor of descriptors) closedWithThread.add(descriptor)
    this.#retired.push(...descriptors)
  }

  /**
   * Gives the descriptor to a `net.Server` of any kind, which listens with it at once, and emits 'listening'. The port
   * is spent, unless it throws; its path goes with the server's port.
   * @throws {HandoverError} ERR_HANDOVER_CLOSED: the port is closed; ERR_HANDOVER_NOT_MOVABLE: it is on its way, or
   *   clients still wait at a path that was bound anew
   * @throws {Error} ERR_SERVER_ALREADY_LISTEN
   */
  listen<Server extends net.Server>(server: Server): Server {
    if (this.#descriptor < 0) throw new HandoverError('ERR_HANDOVER_CLOSED', 'the port is closed')
    assertHere(this)
    if (this.#retired.length > 0) {
      throw new HandoverError(
        'ERR_HANDOVER_NOT_MOVABLE',
        'clients may wait at a path that was bound anew: accept them first, until none comes',
      )
    }
    const [ready, watching] = [this.#ready, this.#watching]
    this.#stopWatching() // the event loop has one watcher a descriptor
    const descriptor = this.#descriptor
    closedWithThread.remove(descriptor)
    try {
      const owned = this.#path === null ? null : { path: this.#path, file: this.#file }
      serveOn(server, descriptor, owned, typeof this.address === 'string' ? this.address : undefined)
    } catch (error) {
      closedWithThread.add(descriptor)
      if (ready !== null) this.watch(ready)
      if (!watching) this.pause()
      throw error
    }
    this.#descriptor = -1
    this.#given = true
    return server
  }

  /** Calls `ready` whenever connections wait, until `pause`. */
  watch(ready: () => void): void {
    this.#ready = ready
    if (this.#watcher === null) {
      this.#watcher = new Watcher(this.#descriptor, () => this.#ready?.())
      closedWithThread.remove(this.#descriptor) // a watcher closes what it watches
    }
    this.#watcher.referenced = this.#referenced
    this.#watcher.watch(READABLE)
    this.#watching = true
    this.#askRetired()
  }

  /** Whether it keeps the process alive while it is watched. It does at first. */
  set referenced(referenced: boolean) {
    this.#referenced = referenced
    if (this.#watcher !== null) this.#watcher.referenced = referenced
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
    closeOwn(this.#retired.shift() as number)
    return this.accept(most)
  }

  /**
   * Makes sure that a UNIX port's path leads here. Programs remove a socket file before they listen on it; the
   * second of several workers would remove that of the first. Binds the path anew if so, and keeps what waits.
   * @throws {SyscallError} somebody else listens there now
   * @internal
   */
  renew(): void {
    const { options } = this
    if (options === null || !('path' in options)) return
    if (this.#descriptor < 0 || isSameFile(this.#fileNow(), this.#file)) return
    const fresh = openPort(options)
    this.#closeWatcher()
    this.#retired.push(this.#descriptor)
    this.#descriptor = fresh
    closedWithThread.add(fresh)
    this.#file = this.#fileNow()
    if (this.#watching && this.#ready !== null) this.watch(this.#ready)
  }

  /** No readiness is reported for a retired socket: it is asked until nobody waits in it any more. */
  #askRetired(): void {
    if (this.#retired.length === 0) return
    setImmediate(() => {
      if (this.#watching) this.#ready?.()
    })
  }

  /**
   * Changes the permission bits of a UNIX port's file, to `mode` or by `mode`; a port without a file has none.
   * @throws {SyscallError} ENOENT: the path does not lead here any more; EPERM, …
   */
  chmod(mode: number, keep: boolean): void {
    const path = this.#path
    if (path === null || isAbstract(path)) return
    changeMode(path, this.#file, mode, keep)
  }

  /**
   * Closes the port: connections that still wait in its queue are reset, unless another process has it, too. Closing
   * twice does nothing.
   */
  close(): void {
    if (this.#descriptor < 0) return
    this.abandon()
    this.removePath()
  }

  /** Removes the path of a port that is closed, if nobody else has the port by now. @internal */
  removePath(): void {
    if (this.#descriptor < 0 && this.#path !== null && !this.#given) removeIfLast(this.#path, this.#file)
  }

  /** Closes its descriptors and leaves the path: another process has the port. @internal */
  abandon(): void {
    if (this.#descriptor < 0) return
    this.#stopWatching()
    for (const descriptor of [...this.#retired.splice(0), this.#descriptor]) closeOwn(descriptor)
    this.#descriptor = -1
  }

  /** The file at its path now, and whose it is: an owner that we gave it stays so for us. */
  #fileNow(): SocketFile | null {
    const { options } = this
    const owner = options !== null && 'path' in options ? options.owner?.uid : undefined
    return this.#path === null ? null : inodeOf(this.#path, owner)
  }

  #closeWatcher(): void {
    if (this.#watcher === null) return
    this.#watcher.close()
    this.#watcher = null
    closedWithThread.add(this.#descriptor)
  }

  #stopWatching(): void {
    this.#closeWatcher()
    this.#ready = null
    this.#watching = false
  }
}

/** @throws {SyscallError} EBADF */
function listens(descriptor: number): boolean {
  try {
    if (getsockoptInt(descriptor, SOL_SOCKET, SO_TYPE) !== SOCK_STREAM) return false
    return getsockoptInt(descriptor, SOL_SOCKET, SO_ACCEPTCONN) === 1
  } catch (error) {
    if ((error as { code?: string }).code === 'EBADF') throw error
    return false
  }
}

function closeOwn(descriptor: number): void {
  closedWithThread.remove(descriptor)
  close(descriptor)
}
