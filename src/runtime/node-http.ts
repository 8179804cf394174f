/**
 * What Node's HTTP servers know of their connections. The same from Node 20 to 26:
 *
 * - A server's connection has `parser`, and `_httpMessage` while a response is under way; a client's has both while a
 *   request is.
 * - Under the symbol 'http.server.connections' a server that listens has a native list of parsers: `all()`, and
 *   `active()`, which are those in the middle of a request, or before their first byte.
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

/** Ends the time limits of a server that has no connection any more; it would look after none for ever. */
export function stopHttpTimer(server: net.Server): void {
  clearInterval(hidden(server, 'http.server.connectionsCheckingInterval') as NodeJS.Timeout | undefined)
}
