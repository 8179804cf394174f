import type net from 'node:net'
import { closeHttpServer, endIdleConnections } from '../runtime/node-http.js'
import { silentSockets } from '../runtime/node-internals.js'

/** What is used of an HTTP/2 session. */
interface Session {
  close(): void
  once(event: 'close', listener: () => void): void
}

/** HTTP/2 servers do not tell which sessions they have: they are collected as they come. */
const sessions = new WeakMap<net.Server, Set<Session>>()

/** Remembers the HTTP/2 sessions of a server, if it has any. Borrows the server. */
export function watchSessions(server: net.Server): void {
  const speaksHttp2 = 'updateSettings' in server
  if (!speaksHttp2 || sessions.has(server)) return
  const open = new Set<Session>()
  sessions.set(server, open)
  server.on('session', (session: Session) => {
    open.add(session)
    session.once('close', () => open.delete(session))
  })
}

/**
 * Ends connections that were made for requests and never had one, as browsers make them ahead. Not before a request
 * that is on its way has had time to arrive.
 */
export function closeSilent(server: net.Server): void {
  if (!('closeIdleConnections' in server)) return // elsewhere a client may well wait for the server to speak
  for (const socket of silentSockets(server)) socket.destroy()
}

/** Closes a server; connections that are open go on, but for those that had a request and wait for another. */
export function closeServer(server: net.Server): void {
  if ('closeIdleConnections' in server) closeHttpServer(server)
  else server.close(() => {}) // a server closed twice says so to its callback only
}

/** Ends connections on which no request is under way; an HTTP/2 session as soon as its streams are done. */
export function closeIdle(server: net.Server): void {
  if ('closeIdleConnections' in server) endIdleConnections(server)
  const open = sessions.get(server)
  for (const session of open ?? []) session.close()
  open?.clear()
}
