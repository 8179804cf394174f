import type { LinkHandlers } from '../../channel/handlers.js'
import { Link } from '../../channel/link.js'
import type { LinkState } from '../../channel/rest.js'
import { close } from '../../syscalls/descriptor.js'
import { hasInput } from '../../syscalls/poll.js'
import { READABLE, Watcher } from '../../syscalls/watch.js'
import type { StartWorker, WorkerEnd } from './worker.js'

/** A worker process that another process has started, and nobody may wait for by its pid but that one. */
export interface InheritedWorker {
  readonly pid: number
  /** Its link's socket. Given. */
  readonly socket: number
  readonly link: LinkState
  /** A pidfd of it. Given. Null: the system has none; then the end of its link is the end of it. */
  readonly pidfd: number | null
}

const END: WorkerEnd = { code: null, signal: null, inherited: true }

/** Goes on with a worker that runs already. Its link is held until `hold(false)`; its outputs are read elsewhere. */
export function inheritWorker({ pid, socket, link, pidfd }: InheritedWorker): StartWorker {
  return (_program, handlers) => {
    let over = (): void => {}
    const ended = new Promise<WorkerEnd>((resolve) => {
      over = () => resolve(END)
    })
    const { closed } = handlers
    const told: LinkHandlers = {
      ...handlers,
      closed: (error, returned) => {
        if (pidfd === null) over()
        closed?.(error, returned)
      },
    }
    let watcher: Watcher | null = pidfd === null ? null : watching(pidfd, () => gone())
    const gone = (): void => {
      watcher?.close()
      if (watcher !== null) close(pidfd as number)
      watcher = null
      over()
    }
    const channel = orElse(gone, () => new Link(socket, told, false, link))
    return {
      pid,
      channel,
      pidfd,
      stdout: null,
      stderr: null,
      ended,
      // Nobody else gets its pid as long as the pidfd does not tell of its end.
      kill: (signal) => {
        if (pidfd === null ? channel.closed : watcher === null || hasInput(pidfd)) return
        try {
          process.kill(pid, signal)
        } catch {} // it has just ended
      },
      letGo: gone,
    }
  }
}

/** Takes the pidfd: closes it if it throws. */
function watching(pidfd: number, ready: () => void): Watcher {
  return orElse(
    () => close(pidfd),
    () => {
      const watcher = new Watcher(pidfd, ready)
      watcher.watch(READABLE)
      return watcher
    },
  )
}

function orElse<Made>(failed: () => void, make: () => Made): Made {
  try {
    return make()
  } catch (error) {
    failed()
    throw error
  }
}
