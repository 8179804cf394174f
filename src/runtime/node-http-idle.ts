/**
 * A connection of HTTP that waits for another request, with a server that has had none of it. Node takes it for a new one:
 * `headersTimeout` runs from when it came and ends it with a 408, and `keepAliveTimeout` does not apply. The same from
 * Node 20 to 26:
 *
 * - A parser tells of a request by functions that are properties of its own, with numbers for names.
 * - Behind the end of a request `headersTimeout` waits for the first byte of the next, also if nobody was told of that one.
 */
import type http from 'node:http'
import type net from 'node:net'
import { type Inside, isQuiet } from './node-sockets.js'

interface Parser {
  execute?(bytes: Buffer): unknown
  [callback: number]: unknown
}

const REQUEST = Buffer.from('GET / HTTP/1.1\r\n\r\n')

const answered = new WeakSet<net.Socket>()

/** Remembers that a connection has had a request, and waits for another. */
export function markAnswered(socket: net.Socket): void {
  answered.add(socket)
}

/** Whether an idle connection has had a request, here or where it was before. */
export function wasAnswered(socket: net.Socket): boolean {
  return answered.has(socket) || !isUntouched(socket)
}

function isUntouched(socket: net.Socket): boolean {
  return socket.bytesRead === 0 && !socket.readableDidRead
}

/** Has the HTTP server that a connection has just come to treat it as one that it has answered, if it was. */
export function goOnWaiting(server: net.Server, socket: net.Socket): void {
  const parser = (socket as Inside).parser as Parser | null | undefined
  if (!answered.has(socket) || !parser || socket.destroyed) return
  parseUnheard(parser)
  const { keepAliveTimeout = 0 } = server as http.Server
  const { keepAliveTimeoutBuffer = 0 } = server as { keepAliveTimeoutBuffer?: number } // from Node 24 on
  if (!(keepAliveTimeout > 0)) return
  const limit = setTimeout(() => {
    if (isUntouched(socket) && isQuiet(socket)) socket.destroy()
  }, keepAliveTimeout + keepAliveTimeoutBuffer)
  limit.unref()
  socket.once('close', () => clearTimeout(limit))
}

/** Has a parser read a request of which nobody is told. */
function parseUnheard(parser: Parser): void {
  if (typeof parser.execute !== 'function') return
  const callbacks = Object.keys(parser).filter((name) => /^\d+$/.test(name))
  const had = callbacks.map((name) => [Number(name), parser[Number(name)]] as const)
  for (const [name] of had) parser[name] = undefined
  try {
    parser.execute(REQUEST)
  } finally {
    for (const [name, callback] of had) parser[name] = callback
  }
}
