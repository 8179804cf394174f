/**
 * Every use the worker makes of Node's internals; what the transports use is in the files beside this one. Unchanged in
 * shape from Node 20 to 26:
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
import { AF_INET } from '../syscalls/constants.js'
import { close } from '../syscalls/descriptor.js'
import { socket, socketpair } from '../syscalls/socket.js'

/** A connection's handle, as libuv gives it to Node. */
export interface StreamHandle {
  open(descriptor: number): number
  close(callback?: () => void): void
  /** Closes with RST; TCP only. */
  reset?(callback: () => void): number
}

/** What a server asks of the handle it listens with. Errors are negative errnos. */
export interface ServerBehaviour {
  listen(backlog: number): number
  closed(): void
  /** Whether it keeps the process alive has changed. */
  referenced(referenced: boolean): void
  fchmod(mode: number): number
  /** Shaped like the answer of `server.address()`; asked of TCP only. */
  address(): object
}

/** The handle of a server: Node's own, in all that looks at it, with our behaviour. */
export interface ServerHandle {
  onconnection?: (status: number, handle: StreamHandle | undefined) => void
  close(callback?: () => void): void
}

export interface ServerInternals {
  _handle: ServerHandle | null
  _pipeName?: string
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
const MODE_READABLE = 1
const MODE_WRITABLE = 2

/** Connections of a server on which the client has never sent a byte. Found when asked, at no cost while serving. */
export function silentSockets(server: net.Server): net.Socket[] {
  const { _getActiveHandles } = process as unknown as { _getActiveHandles?: () => unknown[] }
  const sockets = (_getActiveHandles?.call(process) ?? []).filter((handle) => handle instanceof net.Socket)
  return sockets.filter((socket) => (socket as { server?: unknown }).server === server && socket.bytesRead === 0)
}

/** Before Node 22 libuv did two things differently that a program can see from outside. */
const OLD_LIBUV = Number(process.versions.node.split('.')[0]) < 22

/** What `readableAll` and `writableAll` make of a socket file's mode: old versions add to it, later ones replace it. */
export function fileMode(flags: number): { mode: number; keep: boolean } {
  const readable = (flags & MODE_READABLE) !== 0 ? 0o444 : 0
  const writable = (flags & MODE_WRITABLE) !== 0 ? 0o222 : 0
  return { mode: readable | writable, keep: OLD_LIBUV }
}

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

/** Makes a server listen with a handle of ours, by the same way as `hookListen`. Borrows the server. */
export function listenWith(server: net.Server, handle: ServerHandle, place: ListenPlace | null, backlog: number): void {
  const internals = server as net.Server & ServerInternals
  const { address = null, port = -1, flags = 0 } = place ?? {}
  if (place !== null && port === null && address !== null) internals._pipeName = address
  internals._handle = handle
  internals._listen2(
    address,
    port ?? -1,
    port === null ? -1 : address?.includes(':') ? 6 : 4,
    backlog,
    undefined,
    flags,
  )
}

/** All of sun_path, which old versions take for the name of an abstract socket; later ones only what is given. */
const ABSTRACT_NAME_BYTES = OLD_LIBUV ? 108 : 0

/** An abstract name as this version of Node would bind it, so that its clients find it. */
export function abstractName(name: string): string {
  return name.padEnd(name.length + Math.max(0, ABSTRACT_NAME_BYTES - Buffer.byteLength(name)), '\0')
}

export type StreamKind = 'tcp' | 'unix'
type StreamClass = new (type: number) => StreamHandle

const SOCKET_TYPE = 0
const SERVER_TYPE = 1
const classes: Partial<Record<StreamKind, StreamClass>> = {}

/** The handle class of a kind of stream, read off a socket made for the purpose. */
function streamClass(kind: StreamKind): StreamClass {
  const known = classes[kind]
  if (known !== undefined) return known
  const [descriptor, spare] = kind === 'unix' ? socketpair() : [socket(AF_INET)]
  if (spare !== undefined) close(spare)
  const probe = new net.Socket({ fd: descriptor as number }) as net.Socket & { _handle: StreamHandle }
  const found = probe._handle.constructor as StreamClass
  probe.on('error', () => {}) // the probe is connected to nobody
  probe.destroy()
  classes[kind] = found
  return found
}

/**
 * A handle for a server that never touches the kernel: Node's class, so that whoever takes it for a real one (listen on
 * another server's handle, send it to a child) meets an unopened handle and not a crash.
 */
export function serverHandle(kind: StreamKind, behaviour: ServerBehaviour): ServerHandle {
  const Base = streamClass(kind)
  let referenced = true
  const refer = (value: boolean): void => {
    referenced = value
    behaviour.referenced(value)
  }
  const overrides = {
    listen: (backlog: number) => behaviour.listen(backlog),
    close(this: StreamHandle, callback?: () => void) {
      behaviour.closed()
      Base.prototype.close.call(this, callback)
    },
    ref: () => refer(true),
    unref: () => refer(false),
    hasRef: () => referenced,
    fchmod: (mode: number) => behaviour.fchmod(mode),
  }
  const handle = Object.assign(new Base(SERVER_TYPE), overrides)
  if (kind === 'unix') return handle // for a path Node looks whether there is no `getsockname`
  const getsockname = (out: object): number => {
    Object.assign(out, behaviour.address())
    return 0
  }
  return Object.assign(handle, { getsockname })
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
