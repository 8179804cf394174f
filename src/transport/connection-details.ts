/** What the other side must know of a connection beside what the kernel tells. On the wire: see docs. */
import type net from 'node:net'
import tty from 'node:tty'
import { httpState } from '../runtime/node-http.js'
import { wasAnswered } from '../runtime/node-http-idle.js'
import { handleName, optionsOf } from '../runtime/node-sockets.js'
import { detailsOf, familyOf, notUnderstood } from './arrived.js'
import { decodeProxied, encodeProxied, type WireProxied } from './proxied.js'
import { proxied } from './shown-ends.js'

export const transportKinds = ['tcp', 'unix', 'pipe', 'tty'] as const
/** TCP over IPv4 or IPv6; a UNIX stream socket; a pipe (FIFO); a terminal. */
export type TransportKind = (typeof transportKinds)[number]

/** All but `type` is left out where it is as usual. */
export interface ConnectionDetails {
  readonly type: TransportKind
  /** The end of one direction does not end the other (Node's `allowHalfOpen`). */
  readonly halfOpen?: true
  /** Its end was read and acted on, or it never was to be read. */
  readonly noRead?: true
  /** We have ended our side, or it never was to be written. */
  readonly noWrite?: true
  /** Milliseconds of silence after which 'timeout' comes. */
  readonly timeout?: number
  /** TCP_NODELAY was set. */
  readonly noDelay?: true
  /** SO_KEEPALIVE was set; seconds until the first probe, 0: the system's own. */
  readonly keepAlive?: number
  /** HTTP: it has had an answer, and waits for another request. */
  readonly answered?: true
  /** What a proxy in front said of it. */
  readonly proxied?: WireProxied
  /** It was a `Transport`, and becomes one. */
  readonly transport?: true
}

/** Describes a socket of this process. Borrows the descriptor. */
export function describe(socket: net.Socket, descriptor: number): ConnectionDetails {
  const { noDelay, keepAlive } = optionsOf(socket)
  // Between requests the time limit is one of the HTTP server's; the next server sets its own.
  const http = httpState(socket)
  const timeout = http === 'none' ? (socket.timeout ?? 0) : 0
  const ends = proxied(socket)
  return {
    type: typeOf(socket, descriptor),
    ...(socket.allowHalfOpen ? { halfOpen: true } : {}),
    ...(socket.readableEnded || socket instanceof tty.WriteStream ? { noRead: true } : {}),
    ...(socket.writable ? {} : { noWrite: true }),
    ...(timeout > 0 ? { timeout } : {}),
    ...(noDelay ? { noDelay } : {}),
    ...(keepAlive === null ? {} : { keepAlive }),
    ...(http === 'idle' && wasAnswered(socket) ? { answered: true } : {}),
    ...(ends === null ? {} : { proxied: encodeProxied(ends) }),
  }
}

function typeOf(socket: net.Socket, descriptor: number): TransportKind {
  const name = handleName(socket)
  if (name === 'TCP') return 'tcp'
  if (name === 'TTY') return 'tty'
  return familyOf(descriptor) === 'unix' ? 'unix' : 'pipe'
}

/**
 * Reads what another program wrote. What it does not know is ignored.
 * @throws {HandoverError} ERR_HANDOVER_BAD_FRAME
 */
export function parseDetails(value: unknown): ConnectionDetails {
  const { type, halfOpen, noRead, noWrite, timeout, noDelay, keepAlive, answered, proxied, transport } =
    detailsOf(value)
  const ends = decodeProxied(proxied)
  const kind = transportKinds.find((name) => name === type)
  if (kind === undefined) throw notUnderstood('connection', value)
  return {
    type: kind,
    ...(halfOpen === true ? { halfOpen } : {}),
    ...(noRead === true ? { noRead } : {}),
    ...(noWrite === true ? { noWrite } : {}),
    ...(isDuration(timeout) && timeout > 0 ? { timeout } : {}),
    ...(noDelay === true ? { noDelay } : {}),
    ...(isDuration(keepAlive) ? { keepAlive } : {}),
    ...(answered === true ? { answered } : {}),
    ...(ends === null ? {} : { proxied: encodeProxied(ends) }),
    ...(transport === true ? { transport } : {}),
  }
}

function isDuration(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 0x7fffffff
}
