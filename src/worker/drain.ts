import type { MasterLink } from './master-link.js'
import { closeIdle } from './node-internals.js'

/** Milliseconds between looks for connections that have become idle since the server closed. */
const IDLE_INTERVAL = 100
/** Milliseconds the process has to end by itself once nothing is open, before it is asked to. */
const NATURAL_END = 100

/**
 * Closes every server, lets open requests finish, then ends the process as gently as it allows: by itself when
 * nothing else keeps it alive, by the application's own SIGTERM handler if it has one, else with code 0.
 */
export function drain(link: MasterLink, milliseconds: number, threaded: boolean): void {
  const servers = link.handles.map((handle) => handle.server)
  const end = setTimeout(() => endProcess(threaded), milliseconds)
  end.unref()
  const idle = setInterval(() => servers.forEach(closeIdle), IDLE_INTERVAL)
  link.startDraining(() => {
    clearInterval(idle)
    clearTimeout(end)
    setTimeout(() => endProcess(threaded), NATURAL_END).unref()
  })
  for (const server of servers) server.close(() => {}) // a server closed twice says so to its callback only
}

function endProcess(threaded: boolean): void {
  if (!threaded && process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM')
  else process.exit()
}
