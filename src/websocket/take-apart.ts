import type net from 'node:net'
import { notMovable } from '../transport/movable.js'
import {
  CLOSED,
  CLOSING,
  deflateOf,
  insideServer,
  insideWebSocket,
  leave,
  OPEN,
  ties,
  type WebSocketLike,
  type WebSocketServerLike,
} from './inside.js'
import { replaced, stopReading } from './reading.js'
import { assertCanMove, notYet } from './ready.js'
import { stateOf, type WebSocketState } from './state.js'
import { unreadBytes } from './unread.js'

/** A WebSocket in its parts, until one of the two functions is called. */
export interface TakenApart {
  /** The connection, paused; whoever moves it has it from here. */
  readonly socket: net.Socket
  /** What to put it together by. */
  readonly state: WebSocketState
  /** What came of a message whose end has not; it stands before what the socket reads. */
  readonly unread: Buffer
  /** It is elsewhere now: the WebSocket here is closed without 'close' and 'error', and emits 'moved'. */
  moved(): void
  /** It goes on here as before; what came or was called meanwhile takes effect. */
  restore(): void
}

/**
 * Takes the server's end of an open WebSocket apart, in the middle of a conversation and of a message. Takes it until
 * `restore()`: its readyState is CLOSING, it delivers nothing, and what is sent on it fails.
 * @param server  the one that it is a member of
 * @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE: not now, or not at all; the message says why (see `ready`)
 */
export function takeApart(server: WebSocketServerLike, ws: WebSocketLike): TakenApart {
  const inside = insideWebSocket(ws)
  const from = insideServer(server)
  assertCanMove(inside)
  const why = notYet(inside)
  if (why !== null) throw notMovable(`${why}: wait for ready(ws)`)
  const { _socket: socket } = inside
  const state = stateOf(inside)
  const unread = unreadBytes(inside._receiver)
  const own = ties(inside)
  const buffered = inside._sender._bufferedBytes
  let closing: unknown[] | null = null
  const reading = stopReading(inside)
  const putBack = replaced(inside, {
    close: (...args: unknown[]) => {
      closing ??= args
    },
  })
  const seen = new Set<string>()
  const watching = ['end', 'error', 'close'].map((event) => ({ event, note: () => void seen.add(event) }))
  for (const { event, note } of watching) socket.on(event, note)
  for (const [event, listener] of own.listeners) socket.off(event, listener)
  inside._readyState = CLOSING

  let settled = false
  const settle = (): boolean => {
    if (settled) return false
    settled = true
    putBack()
    return true
  }
  return {
    socket,
    state,
    unread,
    moved() {
      if (!settle()) return
      reading.leave()
      inside._receiver.removeAllListeners()
      deflateOf(inside)?.cleanup()
      inside._readyState = CLOSED
      leave(from, inside)
      inside.emit('moved')
    },
    restore() {
      if (!settle()) return
      for (const { event, note } of watching) socket.off(event, note)
      for (const [event, listener] of own.listeners) socket.on(event, listener)
      inside._readyState = socket.destroyed ? CLOSING : OPEN
      inside._sender._bufferedBytes = buffered
      for (const event of ['end', 'close']) if (seen.has(event)) own.listeners.get(event)?.call(socket)
      reading.goOn()
      if (closing !== null) inside.close(...closing)
    },
  }
}
