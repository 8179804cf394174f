import net from 'node:net'
import { shown } from '../arguments.js'
import { idleConnections } from '../runtime/node-http.js'
import { isMovable } from './movable.js'

/**
 * The connections of an HTTP server that can be handed over now: those between two requests, and those on which nothing
 * has come yet. Borrows them. On the other side, `server.emit('connection', socket)` serves one on; a server that does
 * not listen must have been told `server.emit('listening')`, or it has no time limits.
 * @throws {TypeError} it is no HTTP server
 */
export function movableConnections(server: net.Server): net.Socket[] {
  if (!(server instanceof net.Server) || !('closeIdleConnections' in server)) {
    throw new TypeError(`server: a server of node:http, not ${shown(server)}`)
  }
  return idleConnections(server).filter(isMovable)
}
