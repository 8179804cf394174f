/**
 * Every use the worker makes of Node's internals, in one place. Unchanged in shape from Node 20 to 26:
 *
 * - `net.Server.prototype._listen2(address, port, addressType, backlog, fd, flags)` is where every `listen` of a
 *   server ends after its arguments and host names are dealt with; a handle in `_handle` is used as it is.
 * - The server calls `listen`, `close`, `ref`, `unref`, `getsockname` and `fchmod` of that handle, and puts a function
 *   `onconnection(status, handle)` on it that turns a connection's handle into the 'connection' event, with all of
 *   the server's options (maxConnections, pauseOnConnect, allowHalfOpen, noDelay, keepAlive, highWaterMark).
 * - A stream handle has `open(fd)` and `close(callback)`; its class is the `constructor` of any socket's `_handle`.
 *
 * The alternative, standing in for `cluster._getServer`, would need `cluster.isPrimary` to be false, which programs
 * look at, and can only answer later: `server.address()` right behind `listen()` would be null.
 */
import net from 'node:net'
import { close } from '../syscalls/descriptor.js'
import { socket, socketpair } from '../syscalls/socket.js'

/** A connection's handle, as libuv gives it to Node. */
export interface StreamHandle {
  open(descriptor: number): number
  close(callback?: () => void): void
  /** Closes with RST; TCP only. */
  reset?(callback: () => void): number
}

/** What `net.Server` expects of the handle it listens with. */
export interface ServerHandle {
  onconnection?: (status: number, handle: StreamHandle | undefined) => void
  listen(backlog: number): number
  close(callback?: () => void): void
  ref(): void
  unref(): void
  hasRef(): boolean
  fchmod(mode: number): number
  getsockname?: (out: object) => number
}

export interface ServerInternals {
  _handle: ServerHandle | null
  _listen2: Listen2
}

type Listen2 = (
  this: net.Server & ServerInternals,
  address: string | null,
  port: number,
  addressType: number,
  backlog: number,
  descriptor: number | undefined,
  flags: number | undefined,
) => void

export const LISTEN_FLAG_IPV6_ONLY = 1
export const LISTEN_FLAG_REUSE_PORT = 2
export const MODE_READABLE = 1
export const MODE_WRITABLE = 2

/** Where a server would listen, as Node has worked it out. */
export interface ListenPlace {
  /** A numeric address, null for any, or a UNIX path when `port` is null. */
  address: string | null
  port: number | null
  flags: number
}

/**
 * Asks `choose` for a handle whenever a server is about to bind an address of its own. Servers that listen on a
 * handle or a descriptor they were given go on as before.
 */
export function hookListen(choose: (server: net.Server, place: ListenPlace) => ServerHandle): void {
  const prototype = net.Server.prototype as unknown as ServerInternals
  const original = prototype._listen2
  prototype._listen2 = function (address, port, addressType, backlog, descriptor, flags) {
    const foreign = this._handle != null || (typeof descriptor === 'number' && descriptor >= 0)
    if (!foreign) this._handle = choose(this, { address, port: port === -1 ? null : port, flags: flags ?? 0 })
    // Node names the place in its errors: "any address" must not read "null:80".
    const named = address ?? (foreign ? address : '::')
    original.call(this, named, port, addressType, backlog, descriptor, flags)
  }
}

/** Makes a server listen with a handle of ours, by the same way as `hookListen`. */
export function listenWith(server: net.Server, handle: ServerHandle, backlog: number): void {
  const internals = server as net.Server & ServerInternals
  internals._handle = handle
  internals._listen2(null, -1, -1, backlog, undefined, undefined)
}

/** Closes connections on which no request is under way, if the server is one of HTTP. */
export function closeIdle(server: net.Server): void {
  ;(server as { closeIdleConnections?: () => void }).closeIdleConnections?.()
}

export type StreamKind = 'tcp' | 'unix'
type StreamClass = new (type: number) => StreamHandle

const SOCKET_TYPE = 0
const classes: Partial<Record<StreamKind, StreamClass>> = {}

/** The handle class of a kind of stream, read off a socket made for the purpose. */
function streamClass(kind: StreamKind): StreamClass {
  const known = classes[kind]
  if (known !== undefined) return known
  const [descriptor, spare] = kind === 'unix' ? socketpair() : [socket('ipv4')]
  if (spare !== undefined) close(spare)
  const probe = new net.Socket({ fd: descriptor as number }) as net.Socket & { _handle: StreamHandle }
  const found = probe._handle.constructor as StreamClass
  probe.on('error', () => {}) // the probe is connected to nobody
  probe.destroy()
  classes[kind] = found
  return found
}

/** Node's own handle of a connection, that tells `closed` once when Node closes it, however that comes about. */
const reporting: Partial<Record<StreamKind, new (type: number, closed: () => void) => StreamHandle>> = {}

function reportingClass(kind: StreamKind): new (type: number, closed: () => void) => StreamHandle {
  const known = reporting[kind]
  if (known !== undefined) return known
  const Base = streamClass(kind)
  const made = class extends Base {
    #closed: (() => void) | null
    constructor(type: number, closed: () => void) {
      super(type)
      this.#closed = closed
    }
    override close(callback?: () => void): void {
      super.close(callback)
      this.#report()
    }
    override reset(callback: () => void): number {
      const error = super.reset?.(callback) ?? 0
      if (error === 0) this.#report()
      return error
    }
    #report(): void {
      const closed = this.#closed
      this.#closed = null
      closed?.()
    }
  }
  Object.defineProperty(made, 'name', { value: Base.name }) // Node and others look at `constructor.name`
  reporting[kind] = made
  return made
}

/**
 * Turns a connection's descriptor into the handle Node would have accepted. Takes the descriptor: on failure it is
 * closed, and `closed` is called.
 * @returns the handle, or a negative errno
 */
export function adoptHandle(kind: StreamKind, descriptor: number, closed: () => void): StreamHandle | number {
  const handle = new (reportingClass(kind))(SOCKET_TYPE, closed)
  const error = handle.open(descriptor)
  if (error === 0) return handle
  close(descriptor)
  handle.close()
  return error
}
