import type net from 'node:net'
import type { Handle, Inside } from './node-sockets.js'

type Callback = (error?: Error | null) => void

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
  readonly #own: [name: string, descriptor: PropertyDescriptor | undefined][] = []
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
    // Node calls this whenever somebody wants to read on; `reading` tells later whether anybody did.
    this.#handle.readStart = () => 0
    this.bytes = drained(this.#socket)
    const state = this.#socket._readableState
    this.#ended = state.ended && !state.endEmitted
    if (this.#ended) state.ended = false // or reading here would emit 'end', before the bytes that may come back
    this.#replace({
      _write: (chunk: unknown, encoding: BufferEncoding, callback: Callback) => {
        this.#write = () => this.#socket._write(chunk, encoding, callback)
      },
      _writev: (chunks: never[], callback: Callback) => {
        this.#write = () => this.#socket._writev?.(chunks, callback)
      },
      _final: (callback: Callback) => {
        this.#final = () => this.#socket._final(callback)
      },
      _destroy: (error: Error | null, callback: (error: Error | null) => void) => {
        this.#destroy = () => this.#socket._destroy(error, callback as Callback)
      },
    })
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

  #replace(functions: Record<string, unknown>): void {
    const socket = this.#socket as unknown as Record<string, unknown>
    for (const name in functions) {
      const own = Object.hasOwn(socket, name) // process.stdout has one of its own
      this.#own.push([name, own ? Object.getOwnPropertyDescriptor(socket, name) : undefined])
      if (own) Object.defineProperty(socket, name, { value: functions[name], configurable: true, writable: true })
      else socket[name] = functions[name]
    }
  }

  /** For a socket that comes to its end now: to delete properties would cost more than all the rest. */
  #replaceByNodes(): void {
    const socket = this.#socket as unknown as Record<string, unknown>
    const node = Object.getPrototypeOf(socket) as Record<string, unknown>
    for (const [name, own] of this.#own.splice(0)) {
      if (own === undefined) socket[name] = node[name]
      else Object.defineProperty(socket, name, own)
    }
  }

  #putBack(): void {
    Reflect.deleteProperty(this.#handle, 'readStart')
    for (const [name, descriptor] of this.#own.splice(0)) {
      Reflect.deleteProperty(this.#socket, name)
      if (descriptor !== undefined) Object.defineProperty(this.#socket, name, descriptor)
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
