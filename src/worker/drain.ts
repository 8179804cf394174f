import type net from 'node:net'
import { closePort } from '../runtime/node-servers.js'
import type { DrainOrder } from '../wire/control.js'
import { drainHandled } from './drain-handlers.js'
import { closeIdle, closeServer, closeSilent } from './idle-connections.js'
import type { MasterLink } from './master-link.js'
import { Movers } from './movers.js'

/** Milliseconds between looks for connections that have become idle since the server closed. */
const IDLE_INTERVAL = 100
/** Milliseconds a client has, from the start of the drain, to send the first byte on a connection it has. */
const SILENT_GRACE = 1_000
/** Milliseconds the process has to end by itself once nothing is open, before it is asked to. */
const NATURAL_END = 100

/**
 * Closes every server, lets open requests finish, then ends the process as gently as it allows: by the
 * application's own SIGTERM handler if it has one, by itself when nothing else keeps it alive, else with code 0.
 *
 * With a successor, connections of HTTP that wait for a request go there; those that nobody takes end as they would.
 */
export function drain(link: MasterLink, { milliseconds, successor = false }: DrainOrder, threaded: boolean): void {
  const servers = link.handles.map((handle) => handle.server)
  const movers = new Movers(link, successor ? servers.filter(hasMovable) : [])
  const others = servers.filter((server) => !movers.has(server))
  const end = setTimeout(() => {
    link.cut()
    endProcess(threaded)
  }, milliseconds)
  end.unref()
  const silent = setTimeout(() => {
    movers.endSilent()
    others.forEach(closeSilent)
  }, SILENT_GRACE)
  silent.unref()
  const idle = setInterval(() => {
    movers.sweep()
    others.forEach(closeIdle)
  }, IDLE_INTERVAL)
  const handled = drainHandled({ successor, milliseconds })
  link.startDraining(() => {
    clearInterval(idle)
    clearTimeout(end)
    clearTimeout(silent)
    if (handlesSigterm(threaded)) return endProcess(threaded)
    setTimeout(() => endProcess(threaded), NATURAL_END).unref()
  }, handled)
  others.forEach(closeServer)
  movers.start(closePort) // `close` of an HTTP server would end the connections that are to move
}

/** Whether a server's connections are HTTP without TLS, whose state is all in the kernel between two requests. */
function hasMovable(server: net.Server): boolean {
  return 'closeIdleConnections' in server && !('setSecureContext' in server)
}

function handlesSigterm(threaded: boolean): boolean {
  return !threaded && process.listenerCount('SIGTERM') > 0
}

/** A real signal would come a turn later, when a process that nothing else keeps alive is gone already. */
function endProcess(threaded: boolean): void {
  if (handlesSigterm(threaded)) process.emit('SIGTERM', 'SIGTERM')
  else process.exit()
}
