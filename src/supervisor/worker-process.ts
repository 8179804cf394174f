import { once } from 'node:events'
import { spawnWithLink } from '../bootstrap/inherit.js'
import { nodeOptions, type StartWorker, type WorkerEnd } from './worker.js'

/** Starts a worker process. It leads a session of its own, so that Ctrl-C reaches the master alone, which drains it. */
export const startProcess: StartWorker = (program, handlers) => {
  const { child, channel } = spawnWithLink(
    process.execPath,
    [...nodeOptions(program), program.script, ...program.args],
    { cwd: program.cwd, env: program.env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
    handlers,
  )
  const ended = once(child, 'exit').then(
    ([code, signal]): WorkerEnd => ({ code, signal }),
    (error: Error): WorkerEnd => ({ code: null, signal: null, error }),
  )
  return {
    pid: child.pid ?? 0,
    channel,
    stdout: child.stdout ?? null,
    stderr: child.stderr ?? null,
    ended,
    kill: (signal) => void child.kill(signal),
    letGo: () => child.unref(),
  }
}
