/**
 * What Node's HTTP servers know of their connections. The same from Node 20 to 26:
 *
 * - A server's connection has `parser`, and `_httpMessage` while a response is under way; a client's has both while a
 *   request is.
 * - Under the symbol 'http.server.connections' a server that listens has a native list of parsers: `all()`, and
 *   `active()`, which are those in the middle of a request, or before their first byte.
 * - `close` of a server calls its `closeIdleConnections`, which from Node 26 on ends connections before their first byte too:
 *   requests that are on their way are lost.
 * - The parser reads the handle by itself, without events of the stream: a socket whose handle does not read is as
 *   quiet for it as one whose client says nothing.
 */
import type net from 'node:net'
import { silentSockets } from './node-internals.js'
import type { Inside } from './node-sockets.js'
import { hidden, hiddenIn } from './symbols.js'

interface Parser {
  readonly socket?: net.Socket | null
}

interface Connections {
  all(): Parser[]
  active(): Parser[]
}

const connectionsOf = hiddenIn<Connections>('http.server.connections')

/** Sockets whose parser is in the list of its server. Looking in that list takes long when it is. */
const tracked = new WeakSet<net.Socket>()

/** What HTTP does on a socket: nothing; it waits for a request; it has a part of one, or of the answer; nobody can tell. */
export type HttpState = 'none' | 'idle' | 'busy' | 'untracked'

/** @param active  the parsers that are in the middle of something, if the caller knows them */
export function httpState(socket: net.Socket, active?: ReadonlySet<unknown>): HttpState {
  const { parser, _httpMessage: message } = socket as Inside
  if (message) return 'busy'
  if (!parser) return 'none'
  if (socket.bytesRead === 0 && !socket.readableDidRead) return 'idle' // the parser has had nothing
  const server = (socket as { server?: object }).server
  const list = server === undefined || server === null ? undefined : connectionsOf(server)
  if (list === undefined || !isTracked(socket, list)) return 'untracked'
  return (active?.has(parser) ?? list.active().includes(parser)) ? 'busy' : 'idle'
}

function isTracked(socket: net.Socket, list: Connections): boolean {
  if (!tracked.has(socket)) for (const parser of list.all()) if (parser.socket) tracked.add(parser.socket)
  return tracked.has(socket)
}

/** All connections of an HTTP server that it speaks HTTP on and that wait for a request. */
export function idleConnections(server: net.Server): net.Socket[] {
  const list = connectionsOf(server)
  if (list === undefined) return silentSockets(server).filter((socket) => httpState(socket) === 'idle')
  const active = new Set<unknown>(list.active())
  const sockets = list.all().flatMap(({ socket }) => socket ?? [])
  for (const socket of sockets) tracked.add(socket)
  return sockets.filter((socket) => httpState(socket, active) === 'idle')
}

/** Ends the connections that had a request and wait for another, as `closeIdleConnections` did up to Node 24. */
export function endIdleConnections(server: net.Server): void {
  for (const socket of idleConnections(server)) if (socket.bytesRead > 0 || socket.readableDidRead) socket.destroy()
}

/** Closes a server as `close` does, and leaves connections alone whose first request may be on its way. */
export function closeHttpServer(server: net.Server): void {
  const name = 'closeIdleConnections'
  const theirs = Object.hasOwn(server, name) // then the program knows what it does
  if (!theirs) Object.defineProperty(server, name, { value: () => endIdleConnections(server), configurable: true })
  try {
    server.close(() => {}) // a server closed twice says so to its callback only
  } finally {
    if (!theirs) Reflect.deleteProperty(server, name)
  }
}

/** Ends the time limits of a server that has no connection any more; it would look after none for ever. */
export function stopHttpTimer(server: net.Server): void {
  clearInterval(hidden(server, 'http.server.connectionsCheckingInterval') as NodeJS.Timeout | undefined)
}
