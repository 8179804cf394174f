import { Worker as Thread } from 'node:worker_threads'
import { lendToThread } from '../../bootstrap/inherit.js'
import { close } from '../../syscalls/descriptor.js'
import { nodeOptions, type StartWorker, type WorkerEnd } from './worker.js'

/** Starts a worker thread of this process. It has an event loop of its own, and shares everything that can crash. */
export const startThread: StartWorker = (program, handlers) => {
  let lent = -1
  const takeBack = (): void => {
    if (lent >= 0) close(lent)
    lent = -1
  }
  const loan = lendToThread({
    ...handlers,
    opened: (peer, sender) => {
      takeBack() // the thread has its duplicate
      handlers.opened?.(peer, sender)
    },
  })
  lent = loan.lent
  let thread: Thread
  try {
    thread = new Thread(program.script, {
      argv: [...program.args],
      env: { ...program.env, ...loan.env },
      execArgv: nodeOptions(program),
      stdout: true,
      stderr: true,
    })
  } catch (error) {
    loan.channel.close()
    takeBack()
    throw error
  }
  const ended = new Promise<WorkerEnd>((resolve) => {
    let error: Error | undefined
    thread.on('error', (thrown) => {
      error = thrown instanceof Error ? thrown : new Error(String(thrown))
    })
    thread.on('exit', (code) => {
      takeBack()
      resolve({ code: error ? 1 : code, signal: null, ...(error && { error }) })
    })
  })
  return {
    pid: process.pid,
    channel: loan.channel,
    stdout: thread.stdout,
    stderr: thread.stderr,
    ended,
    // Ending a thread in the middle of a turn may leave descriptors open, and while it throws it aborts Node 20: first
    // its channel goes, whereupon it drains and ends by itself.
    kill: (signal) => (signal === 'SIGKILL' ? void thread.terminate() : loan.channel.closeAgreed()),
  }
}
