/** Whether a WebSocket can be taken apart now, and until when to wait where it cannot. */
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { wholeMilliseconds } from '../arguments.js'
import { READY_INTERVAL, READY_TIMEOUT, UNREAD_FRAMES_MAX } from '../limits.js'
import { assertMovable, hasOutput, notMovable } from '../transport/movable.js'
import type { WebSocketLike } from './inside.js'
import { CLOSING, deflateOf, GET_DATA, type InsideWebSocket, insideWebSocket, isSenderIdle, OPEN } from './inside.js'
import { type Stopped, stopReading } from './reading.js'
import { earlierFrames, unreadLength } from './unread.js'
import { isWindowKnown } from './window.js'

/** @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE: and it will not be, however long one waits */
export function assertCanMove(ws: InsideWebSocket): void {
  if (ws._readyState !== OPEN) {
    const state = ['is still connecting', 'is open', 'is closing, or on its way already', 'is closed'][ws._readyState]
    throw notMovable(`the WebSocket ${state}: only an open one can be moved`)
  }
  if (!ws._isServer) throw notMovable('this is the client’s end of a WebSocket: only the server’s can be moved')
  if (!(ws._socket instanceof net.Socket)) {
    throw notMovable(
      'the WebSocket is on a stream that is no connection of the kernel’s: only a net.Socket can be moved',
    )
  }
  assertMovable(ws._socket)
  const deflate = deflateOf(ws)
  if (deflate !== undefined && !isWindowKnown(deflate)) {
    throw notMovable(
      'what comes may refer to what came compressed before, and that was not kept: prepare(ws) when it opens, or set ' +
        'perMessageDeflate: { clientNoContextTakeover: true } of the WebSocketServer',
    )
  }
}

/** Whether it can be moved, now or when it is at rest; or is on its way, and may come back. */
export function mayMove(ws: WebSocketLike): boolean {
  if (ws.readyState === CLOSING) return true
  try {
    assertCanMove(insideWebSocket(ws))
    return true
  } catch {
    return false
  }
}

/** Why it cannot be taken apart at this moment, though soon it may; null: it can. */
export function notYet(ws: InsideWebSocket): string | null {
  return tooBusy(ws) ?? unfinished(ws)
}

/** What passes the sooner, the less comes. */
function tooBusy({ _receiver: receiver, _sender: sender, _socket: socket }: InsideWebSocket): string | null {
  if (!isSenderIdle(sender)) return 'messages wait to be compressed'
  if (hasOutput(socket)) return `${socket.writableLength} bytes of output are still in this process`
  if (receiver._loop || receiver._state > GET_DATA) return 'a message is being read or delivered'
  if (receiver.writableLength > 0 || receiver.writableNeedDrain) return 'what came is not read yet'
  return null
}

/** What passes when more has come, or was sent. */
function unfinished({ _receiver: receiver, _sender: sender }: InsideWebSocket): string | null {
  if (!sender._firstFragment) return 'a message was sent in part: send its last fragment first'
  if (receiver._compressed && earlierFrames(receiver) > 0) return 'half of a compressed message has come'
  const unread = unreadLength(receiver)
  if (unread > UNREAD_FRAMES_MAX) return `${unread} bytes have come of a message whose end has not`
  return null
}

export interface ReadyOptions {
  /** Milliseconds to wait; default 5000, 0: not at all. */
  timeout?: number
  /** Ends the waiting. */
  signal?: AbortSignal
}

/**
 * Waits until a WebSocket can be taken apart: until what was sent has left this process and what came is delivered, but
 * for an unfinished message. Meanwhile it reads no more than it must. Borrows it. That it is ready holds until the end of
 * the turn of the event loop in which this resolves.
 * @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE: it cannot, or not within this time; the message says why
 */
export async function ready(ws: WebSocketLike, { timeout = READY_TIMEOUT, signal }: ReadyOptions = {}): Promise<void> {
  const inside = insideWebSocket(ws)
  const deadline = performance.now() + wholeMilliseconds('timeout', timeout)
  let stopped: Stopped | null = null
  try {
    for (let pause = 0; ; pause = READY_INTERVAL) {
      signal?.throwIfAborted()
      assertCanMove(inside)
      const why = notYet(inside)
      if (why === null) return
      const left = deadline - performance.now()
      if (left <= 0) throw notMovable(`${why}${timeout > 0 ? ` after ${timeout} ms` : ''}: try again later`)
      if (tooBusy(inside) !== null) stopped ??= stopReading(inside)
      else {
        stopped?.goOn()
        stopped = null
      }
      await delay(Math.min(pause, left), undefined, signal && { signal })
    }
  } finally {
    stopped?.goOn()
  }
}
