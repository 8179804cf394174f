import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { spawnWithLink } from '../../bootstrap/inherit.js'
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
    (error: Error): WorkerEnd => ({ code: null, signal: null, error: folderIsGone(error, program.cwd) ?? error }),
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

/** The system says ENOENT of the program, whichever is missing: that, or the folder to run it in. */
function folderIsGone(error: NodeJS.ErrnoException, cwd: string | undefined): Error | null {
  const { code } = error
  if (code !== 'ENOENT' || cwd === undefined || existsSync(cwd)) return null
  return Object.assign(new Error(`there is no folder ${cwd} to run in`, { cause: error }), { code })
}
