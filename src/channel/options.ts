import type { HandoverError } from '../errors.js'
import type { Credentials } from '../syscalls/credentials.js'
import type { End } from './end.js'
import type { StopOptions } from './stop.js'

/** Who is at the other end: as the kernel vouches for it, and what it says of the protocol. */
export interface Peer extends Credentials {
  readonly version: number
  readonly capabilities: readonly string[]
}

/** What arrived in one piece. Gives the things. */
export interface Delivery<Message = unknown, Things extends readonly unknown[] = unknown[]> {
  readonly message: Message
  /** In the order they were sent, each of the kind it was there. */
  readonly things: Things
}

export interface ChannelOptions {
  /** Looks at an offer before it is taken; false, or a text that says why, refuses it. Default: everything is welcome. */
  willing?: Willing
}

export interface SendOptions extends StopOptions {
  /** Milliseconds until the offer is withdrawn. Default: none. */
  timeout?: number
  /** Withdraws the offer; `send` then rejects with the signal's reason, unless the peer has claimed it already. */
  signal?: AbortSignal
  /** Milliseconds that sockets have to write what is still in this process. Default 5000; 0: none may be left. */
  flushTimeout?: number
}

export interface ReceiveOptions extends StopOptions {
  /** Milliseconds until `receive` gives up. Default: none. */
  timeout?: number
  /** Ends the waiting with the signal's reason, unless something is being claimed at that moment: then that is given. */
  signal?: AbortSignal
}

export interface ChannelEvents {
  /** The peer said hello; again after each reconnection. */
  connected: [peer: Peer]
  /** The peer is gone, and it is looked for again (`reconnect`). What was in flight has been rejected. */
  disconnected: [error: Error | null]
  /** An offer was refused here: nobody knows its kind, there was no room, it was not what it said, or was not wanted. */
  refused: [error: HandoverError]
  /** The end. Null after an orderly one. */
  close: [error: Error | null]
}

/** What a program that looks at offers before they are taken gets to see. */
export interface OfferView {
  readonly message: unknown
  /** The kinds of the things, in order. */
  readonly kinds: readonly string[]
}

/** Whether an offer is welcome; a text is the reason why not. */
export type Willing = (offer: OfferView) => boolean | string

/**
 * How a channel comes to a new end after the old one was lost; rejects when it is given up. Waits only as long as the
 * channel is to keep the process alive.
 */
export type Reconnect = (signal: AbortSignal, referenced: () => boolean) => Promise<End>

export const SEND_OPTIONS = ['timeout', 'signal', 'flushTimeout'] as const
export const RECEIVE_OPTIONS = ['timeout', 'signal'] as const
