/**
 * What Node's sockets keep to themselves. The same from Node 20 to 26:
 *
 * - `_handle` is the native stream: `fd`, `reading` (whether Node wants it to read), `readStart`, `readStop`,
 *   `writeQueueSize`; its class is named TCP, Pipe or TTY. After `readStop` not a byte leaves the kernel any more.
 * - A `TLSSocket` around a socket makes `reading` of that one's handle an accessor; an HTTP/2 session leaves itself on it.
 * - What `setNoDelay` and `setKeepAlive` did last is kept under symbols; the same value again makes no system call.
 */
import type net from 'node:net'
import type { StreamHandle } from './node-internals.js'
import { hiddenIn } from './symbols.js'

/** The native stream of a socket. */
export interface Handle extends StreamHandle {
  readonly fd?: number
  readonly writeQueueSize?: number
  reading?: boolean
  readStart(): number
  readStop(): number
}

/** A socket, with what of it is used here and nowhere else. */
export interface Inside extends net.Socket {
  _handle: Handle | null
  _readableState: {
    flowing: boolean | null
    length: number
    reading: boolean
    ended: boolean
    endEmitted: boolean
    needReadable: boolean
    dataEmitted: boolean
    highWaterMark: number
    pipes?: unknown[]
  }
  _writev?: (chunks: never[], callback: (error?: Error | null) => void) => void
  resetAndClosing?: boolean
  _closeAfterHandlingError?: boolean
  parser?: object | null
  _httpMessage?: object | null
}

const inside = (socket: net.Socket): Inside => socket as Inside

/** The descriptor of a socket, borrowed; -1: it has none, as it is closed or no stream of the kernel's. */
export function descriptorOfSocket(socket: net.Socket): number {
  const fd = inside(socket)._handle?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : -1
}

/** The class of its handle: 'TCP', 'Pipe' (also a UNIX socket's), 'TTY', or another. */
export function handleName(socket: net.Socket): string {
  return inside(socket)._handle?.constructor.name ?? ''
}

/** Calls `closed` once, when the socket closes its descriptor, however that comes about. */
export function onSocketClosed(socket: net.Socket, closed: () => void): void {
  const handle = inside(socket)._handle
  if (handle === null) return closed()
  const { close, reset } = handle
  let told = false
  const tell = (): void => {
    if (told) return
    told = true
    closed()
  }
  handle.close = function (this: Handle, callback) {
    close.call(this, callback)
    tell()
  }
  if (reset === undefined) return
  handle.reset = function (this: Handle, callback) {
    const error = reset.call(this, callback)
    if (error === 0) tell()
    return error
  }
}

/** Bytes that the kernel has not taken yet. */
export function unsentBytes(socket: net.Socket): number {
  return Math.max(socket.writableLength, inside(socket)._handle?.writeQueueSize ?? 0)
}

/** Whether something is piped out of it, or into it. */
export function isPiped(socket: net.Socket): boolean {
  return (inside(socket)._readableState.pipes?.length ?? 0) > 0 || socket.listenerCount('unpipe') > 0
}

/** Whether it speaks TLS, or a TLSSocket around it does. */
export function isTls(socket: net.Socket): boolean {
  if ((socket as { encrypted?: boolean }).encrypted === true) return true
  const handle = inside(socket)._handle
  return handle !== null && Object.getOwnPropertyDescriptor(handle, 'reading')?.get !== undefined
}

const serverOf = hiddenIn<object>('server')

/** Whether an HTTP/2 session reads it. Node means to leave the session under a symbol and has a slip there. */
export function isHttp2(socket: net.Socket): boolean {
  const { undefined: session } = socket as unknown as { undefined?: unknown }
  if (session !== undefined) return true
  const server = serverOf(socket)
  return typeof server === 'object' && server !== null && 'updateSettings' in server
}

const noDelay = hiddenIn<boolean>('kSetNoDelay')
const keepAlive = hiddenIn<boolean>('kSetKeepAlive')
const keepAliveDelay = hiddenIn<number>('kSetKeepAliveInitialDelay')

/** What Node believes of the options of a socket. `keepAlive`: seconds; null when it is off. */
export function optionsOf(socket: net.Socket): { noDelay: boolean; keepAlive: number | null } {
  return {
    noDelay: noDelay(socket) === true,
    keepAlive: keepAlive(socket) === true ? (keepAliveDelay(socket) ?? 0) : null,
  }
}
