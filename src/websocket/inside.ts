/**
 * Every use of what the package ws keeps to itself. The same from 8.17 to 8.23, but for what is optional here:
 *
 * - A WebSocket has a receiver (bytes to messages), a sender (messages to bytes) and the socket, which has it under a symbol.
 * - The receiver reads a frame in steps: `_state` names the next one. Bytes that are not enough for it wait in `_buffers`.
 * - Compression is negotiated once; `params` is what came of it. Its zlib streams are made at their first use.
 *
 * Nothing is imported of ws: what is needed of it comes from the program's own objects, whichever copy they are of.
 */
import type { EventEmitter } from 'node:events'
import type net from 'node:net'
import type { Writable } from 'node:stream'
import { shown } from '../arguments.js'
import { symbolOf } from '../runtime/symbols.js'

/** The server's end of a WebSocket, as the package ws makes it. */
export interface WebSocketLike extends EventEmitter {
  readonly readyState: number
}

/** A `WebSocketServer` of the package ws; `clients` is missing where it tracks none. */
export interface WebSocketServerLike<Socket extends WebSocketLike = WebSocketLike> extends EventEmitter {
  readonly clients?: Set<Socket>
  readonly options: object
}

export const CONNECTING = 0
export const OPEN = 1
export const CLOSING = 2
export const CLOSED = 3

/** What the receiver does next. From INFLATING on it waits for something itself. */
export const GET_INFO = 0
export const GET_LENGTH_16 = 1
export const GET_LENGTH_64 = 2
export const GET_MASK = 3
export const GET_DATA = 4

/** What is read of a frame under way, and of a message whose last frame has not come. */
export interface FrameState {
  readonly _state: number
  readonly _buffers: readonly Buffer[]
  readonly _fin: boolean
  readonly _opcode: number
  readonly _masked: boolean
  readonly _mask?: Buffer | undefined
  readonly _payloadLength: number
  /** The opcode of the message; 0: the frames under way, if any, are not of a message in several. */
  readonly _fragmented: number
  /** Payloads of earlier frames, those that are not empty. */
  readonly _fragments: readonly Buffer[]
  /** How many earlier frames there are; only counted where they are limited. */
  readonly _numFragments?: number
  readonly _compressed: boolean
}

export interface Receiver extends Writable, FrameState {
  /** It is in the middle of what it read: in a listener of the program, say. */
  readonly _loop: boolean
}

export interface Sender {
  readonly _state?: number
  /** In place of `_state` up to 8.17. */
  readonly _deflating?: boolean
  readonly _queue: readonly unknown[]
  readonly _firstFragment: boolean
  _bufferedBytes: number
}

export type DeflateParams = Record<string, true | number>

export interface DeflateOptions {
  concurrencyLimit?: number
  zlibInflateOptions?: object
}

export interface Deflate {
  params: DeflateParams
  /** Null as long as the client has sent nothing compressed. */
  readonly _inflate: object | null
  decompress(data: Buffer, last: boolean, done: (error: Error | null, message?: Buffer) => void): void
  cleanup(): void
}

export interface InsideWebSocket extends WebSocketLike {
  binaryType: string
  _readyState: number
  _isServer: boolean
  _paused: boolean
  _protocol: string
  _extensions: Record<string, Deflate | undefined>
  _receiver: Receiver
  _sender: Sender
  _socket: net.Socket
  close(...args: unknown[]): void
  pause(): void
  resume(): void
  setSocket(socket: object, head: Buffer, options: object): void
}

type WebSocketClass = new (address: null, protocols: undefined, options: object) => InsideWebSocket
type DeflateClass = new (options: object, isServer: boolean, maxPayload: number) => Deflate
type Upgraded = (ws: InsideWebSocket, request: unknown) => void

export interface InsideServer extends WebSocketServerLike<InsideWebSocket> {
  clients?: Set<InsideWebSocket>
  readonly options: {
    WebSocket: WebSocketClass
    maxPayload?: number
    perMessageDeflate?: DeflateOptions | boolean
  }
  _state: number
  _shouldEmitClose?: boolean
  handleUpgrade(request: unknown, socket: unknown, head: Buffer, upgraded: Upgraded): void
}

const DEFLATE = 'permessage-deflate'
const SERVER_CLOSED = 2

/** @throws {TypeError} it is none */
export function insideWebSocket(ws: WebSocketLike): InsideWebSocket {
  const { _readyState, close } = (ws ?? {}) as InsideWebSocket
  if (typeof _readyState === 'number' && typeof close === 'function') return ws as InsideWebSocket
  throw new TypeError(`ws: a WebSocket of the package ws, not ${shown(ws)}`)
}

/** @throws {TypeError} it is none */
export function insideServer(server: WebSocketServerLike): InsideServer {
  const { options, handleUpgrade } = (server ?? {}) as InsideServer
  if (typeof options?.WebSocket === 'function' && typeof handleUpgrade === 'function') return server as InsideServer
  throw new TypeError(`server: a WebSocketServer of the package ws, not ${shown(server)}`)
}

export function deflateOf(ws: InsideWebSocket): Deflate | undefined {
  return ws._extensions[DEFLATE]
}

/** Whether the sender has given all it was told to send to the socket. */
export function isSenderIdle({ _state, _deflating, _queue }: Sender): boolean {
  return (_state ?? 0) === 0 && _deflating !== true && _queue.length === 0
}

type Listener = (this: net.Socket) => void

/** How ws ties a socket to its WebSocket. */
export interface Ties {
  readonly listeners: ReadonlyMap<string, Listener>
  readonly symbol: symbol
}

const tiesOf = new WeakMap<object, Ties>()

/** Learnt from a WebSocket of the same copy of ws that is made for the purpose, on a socket that takes notes. */
export function ties(ws: InsideWebSocket): Ties {
  const Base = baseClass(ws, 'setSocket') as WebSocketClass
  const known = tiesOf.get(Base)
  if (known !== undefined) return known
  const listeners = new Map<string, Listener>()
  const nothing = (): void => {}
  const on = (event: string, listener: Listener): unknown => listeners.set(event, listener)
  const noted = { on, setTimeout: nothing, setNoDelay: nothing }
  new Base(null, undefined, {}).setSocket(noted, Buffer.alloc(0), {})
  const made = { listeners, symbol: symbolOf(noted, 'websocket') ?? Symbol('websocket') }
  tiesOf.set(Base, made)
  return made
}

/** The class of ws itself, below those of the program. */
function baseClass(object: object, method: string): unknown {
  let base: object | null = null
  for (let level = Object.getPrototypeOf(object); level !== null; level = Object.getPrototypeOf(level)) {
    if (Object.hasOwn(level, method)) base = level
  }
  return base?.constructor
}

/**
 * Compression as it was negotiated elsewhere. What it sends refers to nothing that was sent before, which is always allowed.
 * @param window  what its client's messages may refer to
 */
export function madeDeflate(server: InsideServer, params: DeflateParams, window: Buffer): Deflate {
  const { perMessageDeflate, maxPayload = 0 } = server.options
  const own: DeflateOptions = typeof perMessageDeflate === 'object' ? perMessageDeflate : {}
  const inflate = window.length > 0 ? { ...own.zlibInflateOptions, dictionary: window } : own.zlibInflateOptions
  const options = { ...own, isServer: true, maxPayload, ...(inflate && { zlibInflateOptions: inflate }) }
  const made = new (deflateClass(server, own))(options, true, maxPayload)
  made.params = params
  return made
}

export function setDeflate(ws: InsideWebSocket, deflate: Deflate): void {
  ws._extensions = { [DEFLATE]: deflate }
}

const deflateClasses = new WeakMap<object, DeflateClass>()

/** Not every release exports it: learnt from a handshake of the same copy of ws with nobody. */
function deflateClass(server: InsideServer, own: DeflateOptions): DeflateClass {
  const Base = baseClass(server, 'handleUpgrade') as new (options: object) => InsideServer
  const known = deflateClasses.get(Base)
  if (known !== undefined) return known
  const { concurrencyLimit = 10 } = own // whoever comes first decides on it
  const options = { noServer: true, clientTracking: false, perMessageDeflate: { concurrencyLimit } }
  const headers = {
    upgrade: 'websocket',
    'sec-websocket-key': `${'A'.repeat(22)}==`,
    'sec-websocket-version': '13',
    'sec-websocket-extensions': DEFLATE,
  }
  const nobody = { readable: true, writable: true, on: () => {}, removeListener: () => {}, write: () => {} }
  let found: DeflateClass | undefined
  new Base(options).handleUpgrade({ method: 'GET', headers }, nobody, Buffer.alloc(0), (ws) => {
    found = deflateOf(ws)?.constructor as DeflateClass
  })
  if (found === undefined) throw new TypeError('server: a WebSocketServer of the package ws, 8.17 or later')
  deflateClasses.set(Base, found)
  return found
}

/** As ws does when a WebSocket has closed. */
export function leave(server: InsideServer, ws: InsideWebSocket): void {
  if (server.clients === undefined || !server.clients.delete(ws)) return
  if (server._shouldEmitClose !== true || server.clients.size > 0) return
  process.nextTick(() => {
    server._state = SERVER_CLOSED
    server.emit('close')
  })
}
