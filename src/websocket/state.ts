import { HandoverError } from '../errors.js'
import { type DeflateParams, deflateOf, type InsideWebSocket } from './inside.js'
import { isPaused } from './reading.js'
import { windowOf } from './window.js'

/** What another process must know of a WebSocket beside its connection and the bytes it has read. JSON. */
export interface WebSocketState {
  /** The subprotocol; '': none. */
  readonly protocol: string
  /** In which form binary messages are delivered. */
  readonly binaryType: string
  /** Nothing is read until `resume()`. */
  readonly paused: boolean
  /** What was negotiated about compression; left out where nothing was. */
  readonly deflate?: DeflateParams
  /** The end of what came compressed, in base64, where what comes may refer to it. */
  readonly window?: string
}

/** Borrows it. */
export function stateOf(ws: InsideWebSocket): WebSocketState {
  const deflate = deflateOf(ws)
  const window = deflate && windowOf(deflate)?.toString('base64')
  return {
    protocol: ws._protocol,
    binaryType: ws.binaryType,
    paused: isPaused(ws),
    ...(deflate && { deflate: { ...deflate.params } }),
    ...(window && { window }),
  }
}

/** @throws {HandoverError} ERR_HANDOVER_BAD_FRAME: it says nothing of a WebSocket */
export function parseState(state: unknown): WebSocketState {
  const { protocol, binaryType, paused, deflate, window } = (state ?? {}) as Partial<WebSocketState>
  const understood =
    typeof protocol === 'string' &&
    typeof binaryType === 'string' &&
    typeof paused === 'boolean' &&
    (deflate === undefined || (typeof deflate === 'object' && deflate !== null)) &&
    (window === undefined || typeof window === 'string')
  if (understood) {
    return { protocol, binaryType, paused, ...(deflate && { deflate: { ...deflate } }), ...(window && { window }) }
  }
  throw new HandoverError(
    'ERR_HANDOVER_BAD_FRAME',
    `a WebSocket came with a state that says nothing: ${JSON.stringify(state)?.slice(0, 100)}`,
  )
}
