/**
 * What Node's servers keep to themselves: see node-internals.ts, `_pipeName`, which `address()` tells, and `_connections`,
 * which every socket that has the server in `_server` counts down when it closes.
 */
import net from 'node:net'
import { stopHttpTimer } from './node-http.js'
import { goOnWaiting } from './node-http-idle.js'

interface Inside extends net.Server {
  _connections: number
  _handle: { readonly fd?: number; close(callback?: () => void): void } | null
  _pipeName?: string
}

const inside = (server: net.Server): Inside => server as Inside

/** The descriptor a server listens with, borrowed; -1: it does not listen, or on a port that another process has. */
export function descriptorOfServer(server: net.Server): number {
  const fd = inside(server)._handle?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : -1
}

/**
 * Makes a server listen with a descriptor, at once. Takes it.
 * @param path  what `address()` tells of a UNIX port; Node itself does not ask
 */
export function listenOn(server: net.Server, descriptor: number, path: string | null): void {
  server.listen({ fd: descriptor, exclusive: true } as net.ListenOptions) // cluster's primary knows nothing of it
  if (path !== null) inside(server)._pipeName = path
}

/** Calls `after` once, when the server has closed its descriptor. */
export function onHandleClosed(server: net.Server, after: () => void): void {
  const handle = inside(server)._handle
  if (handle === null) return
  const { close } = handle
  handle.close = function (this: typeof handle, callback) {
    handle.close = close
    close.call(this, callback)
    after()
  }
}

/** Closes the port of a server and leaves every connection as it is; 'close' comes when the last has ended. */
export function closePort(server: net.Server): void {
  if (inside(server)._handle === null) return
  server.once('close', () => stopHttpTimer(server))
  net.Server.prototype.close.call(server) // that of http would end connections between two requests
}

/** Whether a server has as many connections as its program lets it have. */
export function isFull(server: net.Server): boolean {
  const { maxConnections } = server
  return typeof maxConnections === 'number' && maxConnections > 0 && inside(server)._connections >= maxConnections
}

/** Makes a connection one of a server's own, as if it had come to its port: counted, waited for, and announced. */
export function joinServer(server: net.Server, socket: net.Socket): void {
  inside(server)._connections += 1
  Object.assign(socket, { server, _server: server })
  server.emit('connection', socket)
  goOnWaiting(server, socket)
}
