/** Whether a connection can leave this process now, and what to do where it cannot. */
import type net from 'node:net'
import { HandoverError } from '../errors.js'
import { type HttpState, httpState } from '../runtime/node-http.js'
import { descriptorOfSocket, isHttp2, isPiped, isTls, unsentBytes } from '../runtime/node-sockets.js'

/** Sockets that are out of use: on their way, or not settled yet. */
const out = new WeakSet<object>()

/** Remembers that a thing is on its way, so that nobody sends it twice. */
export function markOut(thing: object, isOut: boolean): void {
  if (isOut) out.add(thing)
  else out.delete(thing)
}

/** @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE: it is on its way already */
export function assertHere(thing: object): void {
  if (out.has(thing)) throw notMovable('it is on its way already: wait until that is settled')
}

/** Whether it is not on its way. */
export function isHere(thing: object): boolean {
  return !out.has(thing)
}

export function notMovable(why: string): HandoverError {
  return new HandoverError('ERR_HANDOVER_NOT_MOVABLE', why)
}

/**
 * Output that is still in this process is no reason here: `flushed` waits for it.
 * @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE, with a sentence that says what to do
 */
export function assertMovable(socket: net.Socket): void {
  assertHere(socket)
  const why = obstacle(socket)
  if (why !== null) throw notMovable(why)
}

/** Whether a connection of which HTTP is known to be idle can leave now, but for output that is still here. */
export function isMovable(socket: net.Socket): boolean {
  return !out.has(socket) && obstacle(socket, 'idle') === null
}

function obstacle(socket: net.Socket, http?: HttpState): string | null {
  if (isTls(socket)) {
    return 'the keys of a TLS connection stay with its process: hand the socket over before the handshake, and route by server name'
  }
  if (socket.connecting || socket.pending) {
    if (!socket.destroyed) return "the socket is still connecting: wait for 'connect'"
  }
  if (socket.destroyed) return 'the socket is closed: nothing is left to hand over'
  if (isHttp2(socket)) {
    return 'an HTTP/2 session reads this socket: hand it over before the session is made, or close the session'
  }
  if (descriptorOfSocket(socket) < 0) return 'the socket has no descriptor of its own: hand over what is below it'
  if (socket.readableEncoding !== null) {
    return 'the socket has an encoding and may hold half a character: remove setEncoding, and decode yourself'
  }
  if (isPiped(socket)) return 'the socket is being piped: unpipe it first'
  switch (http ?? httpState(socket)) {
    case 'busy':
      return 'an HTTP request is under way on this connection: wait until it is answered; movableConnections(server) tells which are free'
    case 'untracked':
      return "its HTTP server never listened and does not track its connections: emit 'listening' on it before the first comes"
    default:
      return null
  }
}

/** Whether output of this socket is still in this process, or its end is. */
export function hasOutput(socket: net.Socket): boolean {
  return unsentBytes(socket) > 0 || (socket.writableEnded && !socket.writableFinished)
}

/**
 * Waits until the kernel has all output.
 * @param milliseconds  0 does not wait
 * @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE: it has not by then
 */
export async function flushed(socket: net.Socket, milliseconds: number): Promise<void> {
  const deadline = performance.now() + milliseconds
  while (hasOutput(socket) && !socket.destroyed) {
    const left = deadline - performance.now()
    if (left <= 0) throw notFlushed(socket, milliseconds)
    await progress(socket, left)
  }
}

export function notFlushed(socket: net.Socket, milliseconds: number): HandoverError {
  const what = unsentBytes(socket) > 0 ? `${unsentBytes(socket)} bytes of output are` : 'the end of its output is'
  const waited = milliseconds > 0 ? ` after ${milliseconds} ms` : ''
  return notMovable(`${what} still in this process${waited}: wait until they are sent, or raise flushTimeout`)
}

/** Until what was written so far is sent, or the socket has closed, or the time is up. */
function progress(socket: net.Socket, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const event = socket.writableEnded ? 'finish' : 'close'
    const done = (): void => {
      clearTimeout(timer)
      socket.off('close', done)
      socket.off(event, done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    socket.once('close', done)
    if (event === 'finish') socket.once(event, done)
    else socket.write('', done) // its turn comes behind all the others; 'drain' does not come for all of them
  })
}
