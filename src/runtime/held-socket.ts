import type net from 'node:net'
import type { Handle, Inside } from './node-sockets.js'

type Callback = (error?: Error | null) => void

/** The functions by which Node's stream gets something done. */
const REPLACED = ['_write', '_writev', '_final', '_destroy'] as const

/** Where a socket has what holds it. */
const HELD = Symbol('handover.held')
type Held = Inside & { [HELD]: HeldSocket }

/** Node calls this whenever somebody wants to read on; `reading` tells later whether anybody did. */
const readsLater = (): number => 0

/**
 * A socket that is kept from its descriptor: nothing reads, writes, shuts down or closes it, whatever is called on the
 * socket meanwhile. What was called waits, and goes on when the socket is let go. Node's stream calls four functions to
 * get something done, of which each is replaced on this one socket, and put back later; streams themselves
 * (their flow, their events, how much may be written) go on unchanged.
 */
export class HeldSocket {
  /** What was read from the kernel and by nobody here. */
  readonly bytes: Buffer
  readonly #socket: Inside
  readonly #handle: Handle
  readonly #timeout: number
  /** The peer's end was read, and 'end' not emitted: the kernel tells it again to whoever reads on. */
  readonly #ended: boolean
  /** What the socket had of its own in place of Node's functions, as process.stdout has; null: nothing. */
  #own: Map<string, PropertyDescriptor> | null = null
  #write: (() => void) | null = null
  #final: (() => void) | null = null
  #destroy: (() => void) | null = null

  /** Borrows the socket, which has a handle and no output. */
  constructor(socket: net.Socket) {
    this.#socket = socket as Inside
    this.#handle = this.#socket._handle as Handle
    this.#timeout = socket.timeout ?? 0
    if (this.#timeout > 0) socket.setTimeout(0)
    this.#handle.readStop()
    this.#handle.readStart = readsLater
    this.bytes = drained(this.#socket)
    const state = this.#socket._readableState
    this.#ended = state.ended && !state.endEmitted
    if (this.#ended) state.ended = false // or reading here would emit 'end', before the bytes that may come back
    this.#replace()
  }

  /** The same functions for every socket: they are many. */
  static readonly #waiting = {
    _write(this: Held, chunk: unknown, encoding: BufferEncoding, callback: Callback): void {
      this[HELD].#write = () => this._write(chunk, encoding, callback)
    },
    _writev(this: Held, chunks: never[], callback: Callback): void {
      this[HELD].#write = () => this._writev?.(chunks, callback)
    },
    _final(this: Held, callback: Callback): void {
      this[HELD].#final = () => this._final(callback)
    },
    _destroy(this: Held, error: Error | null, callback: (error: Error | null) => void): void {
      this[HELD].#destroy = () => this._destroy(error, callback as Callback)
    },
  }

  /** Closes the socket's descriptor and nothing more: other copies stay open, so that the peer sees no end. */
  dispose(): void {
    this.#replaceByNodes()
    const socket = this.#socket
    socket.resetAndClosing = false // SO_LINGER would be set for the copies, too
    socket._closeAfterHandlingError = false // what waits below must find it closed
    if (this.#destroy === null) socket.destroy()
    else this.#destroy()
    this.#write?.() // Node tells it that the socket is closed
  }

  /** Lets the socket go on where it stopped. */
  restore(): void {
    this.#putBack()
    const socket = this.#socket
    if (this.#destroy !== null) return this.#destroy()
    if (this.#timeout > 0 && (socket.timeout ?? 0) === 0) socket.setTimeout(this.#timeout)
    const state = socket._readableState
    const readOn = this.#handle.reading === true || (this.#ended && !state.endEmitted)
    if (this.bytes.length > 0) giveBack(socket, this.bytes)
    if (readOn) {
      this.#handle.reading = false
      socket._read(0) // starts the handle as Node does, with what Node does if that fails
    }
    this.#write?.()
    this.#final?.()
  }

  #replace(): void {
    const socket = this.#socket as unknown as Record<string, unknown>
    ;(this.#socket as Held)[HELD] = this
    for (const name of REPLACED) {
      const value = HeldSocket.#waiting[name]
      if (Object.hasOwn(socket, name)) {
        this.#own ??= new Map()
        this.#own.set(name, Object.getOwnPropertyDescriptor(socket, name) as PropertyDescriptor)
        Object.defineProperty(socket, name, { value, configurable: true, writable: true })
      } else {
        socket[name] = value
      }
    }
  }

  /** For a socket that comes to its end now: to delete properties would cost more than all the rest. */
  #replaceByNodes(): void {
    const socket = this.#socket as unknown as Record<string, unknown>
    const node = Object.getPrototypeOf(socket) as Record<string, unknown>
    for (const name of REPLACED) {
      const own = this.#own?.get(name)
      if (own === undefined) socket[name] = node[name]
      else Object.defineProperty(socket, name, own)
    }
  }

  #putBack(): void {
    Reflect.deleteProperty(this.#handle, 'readStart')
    Reflect.deleteProperty(this.#socket, HELD)
    for (const name of REPLACED) {
      Reflect.deleteProperty(this.#socket, name)
      const own = this.#own?.get(name)
      if (own !== undefined) Object.defineProperty(this.#socket, name, own)
    }
  }
}

/** Takes everything out of a stream's buffer, with no event and no trace. */
function drained(socket: Inside): Buffer {
  const state = socket._readableState
  if (state.length === 0) return Buffer.alloc(0)
  const { highWaterMark, reading, dataEmitted } = state
  const handleReading = socket._handle?.reading ?? false
  const own = Object.getOwnPropertyDescriptor(socket, 'emit')
  Object.defineProperty(socket, 'emit', { value: () => false, configurable: true }) // read() emits 'data'
  try {
    return socket.read(state.length) as Buffer // all there is, so that it does not look for the end behind it
  } finally {
    Reflect.deleteProperty(socket, 'emit')
    if (own !== undefined) Object.defineProperty(socket, 'emit', own)
    Object.assign(state, { highWaterMark, reading, dataEmitted })
    if (socket._handle !== null) socket._handle.reading = handleReading
  }
}

/** Puts bytes in front of all that will be read. They are delivered in the next tick, never from here. */
function giveBack(socket: Inside, bytes: Buffer): void {
  const state = socket._readableState
  const { flowing } = state
  state.flowing = false
  state.needReadable = true
  try {
    socket.unshift(bytes)
  } finally {
    state.flowing = flowing
  }
}
