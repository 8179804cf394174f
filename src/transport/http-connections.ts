import net from 'node:net'
import { shown } from '../arguments.js'
import { idleConnections } from '../runtime/node-http.js'
import { joinServer } from '../runtime/node-servers.js'
import { isMovable } from './movable.js'
import { Transport } from './transport.js'

/**
 * The connections of an HTTP server that can be handed over now: those between two requests, and those on which nothing
 * has come yet. Borrows them. On the other side {@link serveConnection} serves one on.
 * @throws {TypeError} it is no HTTP server
 */
export function movableConnections(server: net.Server): net.Socket[] {
  if (!(server instanceof net.Server) || !('closeIdleConnections' in server)) {
    throw new TypeError(`server: a server of node:http, not ${shown(server)}`)
  }
  return idleConnections(server).filter(isMovable)
}

/**
 * Serves a connection with a server of any kind (net, http, https, http2), as if it had come to the server's port: it
 * counts in `getConnections` and `maxConnections`, and `close` waits for it. Takes the socket.
 *
 * A server of HTTP that does not listen must have been told `server.emit('listening')`, or Node gives it no time limits.
 * @throws {TypeError} it is no server, or no socket
 * @throws {HandoverError} ERR_HANDOVER_CLOSED: the transport is spent
 */
export function serveConnection(server: net.Server, socket: net.Socket | Transport): void {
  if (!(server instanceof net.Server))
    throw new TypeError(`server: a net.Server or one of its kind, not ${shown(server)}`)
  const adopted = socket instanceof Transport ? socket.adopt() : socket
  if (!(adopted instanceof net.Socket)) throw new TypeError(`socket: a net.Socket or a Transport, not ${shown(socket)}`)
  joinServer(server, adopted)
}
