import type { InsideWebSocket } from './inside.js'

/** Nothing is read from a WebSocket's socket until it may go on. */
export interface Stopped {
  /** Reads on, unless the program wants a pause by now. This or the other, once. */
  goOn(): void
  /** Never reads again: the socket is another's. */
  leave(): void
}

/** Stops a WebSocket from reading, whatever it or the program does; what the program asks for takes effect later. */
export function stopReading(ws: InsideWebSocket): Stopped {
  const { _socket: socket, _receiver: receiver } = ws
  // The receiver pauses the socket, too, while it has enough.
  let flows = receiver.writableNeedDrain ? !ws._paused : !socket.isPaused()
  let paused = ws._paused
  const putBack = replaced(ws, {
    pause: () => {
      paused = true
      flows = false
    },
    resume: () => {
      paused = false
      flows = true
    },
  })
  ws._paused = true // or the receiver would resume the socket
  socket.pause()
  return {
    leave: putBack,
    goOn() {
      putBack()
      ws._paused = paused
      if (flows && !receiver.writableNeedDrain && !socket.destroyed) socket.resume()
    },
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
