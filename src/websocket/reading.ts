import type { InsideWebSocket } from './inside.js'

/** Nothing is read from a WebSocket's socket until it may go on. */
export interface Stopped {
  /** Reads on, unless somebody else has stopped it too or the program wants a pause by now. This or the other, once. */
  goOn(): void
  /** Never reads again: the socket is another's. */
  leave(): void
}

const stops = new WeakMap<InsideWebSocket, Stop>()

/** Stops a WebSocket from reading, whatever it or the program does; what the program asks for takes effect later. */
export function stopReading(ws: InsideWebSocket): Stopped {
  const known = stops.get(ws)
  if (known !== undefined) return known.joined()
  const made = new Stop(ws)
  stops.set(ws, made)
  return made
}

/** Whether the program wants nothing to be read, whatever is done beside. */
export function isPaused(ws: InsideWebSocket): boolean {
  const stop = stops.get(ws)
  if (stop !== undefined) return !stop.flows
  // The receiver pauses the socket, too, while it has enough.
  return ws._receiver.writableNeedDrain ? ws._paused : ws._paused || ws._socket.isPaused()
}

class Stop implements Stopped {
  flows: boolean
  readonly #ws: InsideWebSocket
  readonly #putBack: () => void
  #paused: boolean
  #holders = 1

  constructor(ws: InsideWebSocket) {
    this.#ws = ws
    this.flows = !isPaused(ws)
    this.#paused = ws._paused
    this.#putBack = replaced(ws, {
      pause: () => this.#wants(false),
      resume: () => this.#wants(true),
    })
    ws._paused = true // or the receiver would resume the socket
    ws._socket.pause()
  }

  #wants(flows: boolean): void {
    this.flows = flows
    this.#paused = !flows
  }

  joined(): Stop {
    this.#holders += 1
    return this
  }

  goOn(): void {
    this.#holders -= 1
    if (this.#holders > 0 || stops.get(this.#ws) !== this) return
    this.leave()
    const { _socket: socket, _receiver: receiver } = this.#ws
    this.#ws._paused = this.#paused
    if (this.flows && !receiver.writableNeedDrain && !socket.destroyed) socket.resume()
  }

  leave(): void {
    if (!stops.delete(this.#ws)) return
    this.#putBack()
  }
}

/** Puts other methods on a WebSocket. @returns what puts back those it had */
export function replaced(ws: InsideWebSocket, methods: Record<string, (...args: unknown[]) => void>): () => void {
  const had = new Map(Object.keys(methods).map((name) => [name, Object.getOwnPropertyDescriptor(ws, name)]))
  Object.assign(ws, methods)
  return () => {
    for (const [name, own] of had) {
      Reflect.deleteProperty(ws, name)
      if (own !== undefined) Object.defineProperty(ws, name, own)
    }
  }
}
