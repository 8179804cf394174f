import type net from 'node:net'
import { BACKLOG_DEFAULT } from '../limits.js'
import { listenWith } from '../runtime/node-internals.js'
import { attachedMaster } from './attach.js'
import { PortHandle } from './port-handle.js'

/** Where `serve` listens; without it, on every port that the master has opened. Numeric addresses only. */
export type ServeOptions = { port: number; host?: string; backlog?: number } | { path: string; backlog?: number }

/**
 * Serves connections from the master with a server of any kind (net, http, https, http2), without the preload. In a
 * program that no master started it is `server.listen(options)`. Borrows the server; `server.close()` ends it.
 * @param server   not listening yet; its 'listening' and 'error' events come as after `listen`
 * @param options  where to listen; default: whatever ports the master dispatches to this worker
 * @throws {TypeError} no options, and no master either
 */
export function serve<Server extends net.Server>(server: Server, options?: ServeOptions): Server {
  const master = attachedMaster()
  if (master === null) {
    if (options === undefined) throw new TypeError('options: needed where no master has opened a port (see serve)')
    return server.listen(options)
  }
  if (server.listening) {
    throw Object.assign(new Error('server: it listens already; close it first'), { code: 'ERR_SERVER_ALREADY_LISTEN' })
  }
  const place =
    options === undefined
      ? null
      : 'path' in options
        ? { address: options.path, port: null, flags: 0 }
        : { address: options.host ?? null, port: options.port, flags: 0 }
  listenWith(server, new PortHandle(master, server, place).handle, place, options?.backlog ?? BACKLOG_DEFAULT)
  return server
}
