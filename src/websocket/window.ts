/**
 * What a client's compressed messages may refer to: the end of what it sent before, as long as zlib's window is. zlib does
 * not give its own out; it takes one as a dictionary. RFC 7692, section 7.1.1.
 */
import { type Deflate, deflateOf, insideWebSocket, type WebSocketLike } from './inside.js'

const WINDOW_BITS_DEFAULT = 15

const windows = new WeakMap<Deflate, Window>()

/** The last bytes of all that was added. */
class Window {
  readonly #size: number
  /** A ring, of its full size once it is full. */
  #ring: Buffer = Buffer.alloc(0)
  /** Where in a full ring the oldest byte is. */
  #start = 0

  constructor(size: number) {
    this.#size = size
  }

  /** Borrows the bytes. */
  add(bytes: Buffer): void {
    const left = this.#size - this.#ring.length
    if (left > 0) {
      this.#ring = Buffer.concat([this.#ring, bytes.subarray(0, left)])
      bytes = bytes.subarray(left)
    }
    bytes = bytes.subarray(Math.max(0, bytes.length - this.#size))
    const first = bytes.copy(this.#ring, this.#start)
    bytes.copy(this.#ring, 0, first)
    this.#start = (this.#start + bytes.length) % this.#size
  }

  /** A copy, oldest byte first. */
  get bytes(): Buffer {
    return Buffer.concat([this.#ring.subarray(this.#start), this.#ring.subarray(0, this.#start)])
  }
}

/**
 * Has a compressed WebSocket remember what its client's later messages may refer to, so that it can be moved; up to
 * 32 KiB, nothing where nothing is referred to. Borrows it. To be called before it has read anything: on 'connection';
 * `movableWebSockets` and `putTogether` do.
 */
export function prepare(ws: WebSocketLike): void {
  const deflate = deflateOf(insideWebSocket(ws))
  if (deflate !== undefined) keepWindow(deflate)
}

/** @param before  what was sent before it was put together here */
export function keepWindow(deflate: Deflate, before: Buffer = Buffer.alloc(0)): void {
  if (!needsWindow(deflate) || windows.has(deflate) || deflate._inflate !== null) return
  const { client_max_window_bits: bits } = deflate.params
  const window = new Window(2 ** (typeof bits === 'number' ? bits : WINDOW_BITS_DEFAULT))
  window.add(before)
  windows.set(deflate, window)
  const { decompress } = deflate
  deflate.decompress = (data, last, done) => {
    decompress.call(deflate, data, last, (error, message) => {
      if (!error && message !== undefined) window.add(message) // before the application has it, which may write to it
      done(error, message)
    })
  }
}

/** Whether what comes may refer to what came before it. */
export function needsWindow(deflate: Deflate): boolean {
  return !deflate.params.client_no_context_takeover
}

/** What its client's messages may refer to; null: that was not kept. */
export function windowOf(deflate: Deflate): Buffer | null {
  if (!needsWindow(deflate)) return Buffer.alloc(0)
  return windows.get(deflate)?.bytes ?? (deflate._inflate === null ? Buffer.alloc(0) : null)
}

/** Whether that is known. */
export function isWindowKnown(deflate: Deflate): boolean {
  return !needsWindow(deflate) || windows.has(deflate) || deflate._inflate === null
}
