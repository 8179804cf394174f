import { closeIdle, closeServer, closeSilent } from './idle-connections.js'
import type { MasterLink } from './master-link.js'

/** Milliseconds between looks for connections that have become idle since the server closed. */
const IDLE_INTERVAL = 100
/** Milliseconds a client has, from the start of the drain, to send the first byte on a connection it has. */
const SILENT_GRACE = 1_000
/** Milliseconds the process has to end by itself once nothing is open, before it is asked to. */
const NATURAL_END = 100

/**
 * Closes every server, lets open requests finish, then ends the process as gently as it allows: by the
 * application's own SIGTERM handler if it has one, by itself when nothing else keeps it alive, else with code 0.
 */
export function drain(link: MasterLink, milliseconds: number, threaded: boolean): void {
  const servers = link.handles.map((handle) => handle.server)
  const end = setTimeout(() => {
    link.cut()
    endProcess(threaded)
  }, milliseconds)
  end.unref()
  const silent = setTimeout(() => servers.forEach(closeSilent), SILENT_GRACE)
  silent.unref()
  const idle = setInterval(() => {
    for (const server of servers) closeIdle(server)
  }, IDLE_INTERVAL)
  link.startDraining(() => {
    clearInterval(idle)
    clearTimeout(end)
    clearTimeout(silent)
    if (handlesSigterm(threaded)) return endProcess(threaded)
    setTimeout(() => endProcess(threaded), NATURAL_END).unref()
  })
  for (const server of servers) closeServer(server)
}

function handlesSigterm(threaded: boolean): boolean {
  return !threaded && process.listenerCount('SIGTERM') > 0
}

/** A real signal would come a turn later, when a process that nothing else keeps alive is gone already. */
function endProcess(threaded: boolean): void {
  if (handlesSigterm(threaded)) process.emit('SIGTERM', 'SIGTERM')
  else process.exit()
}
