import type { Readable } from 'node:stream'
import type { LinkHandlers } from '../../channel/handlers.js'
import type { Link } from '../../channel/link.js'
import { ownModule } from '../../own-files.js'

/** What a worker runs, the same for processes and threads. */
export interface Program {
  /** An absolute path. */
  script: string
  args: readonly string[]
  /** Node's own options, before the script. */
  execArgv: readonly string[]
  env: NodeJS.ProcessEnv
  cwd: string
  /** Load the module that makes `listen` of an unmodified program go through the master. */
  preload: boolean
}

/** How a worker ended. Threads have no signal. */
export interface WorkerEnd {
  code: number | null
  signal: NodeJS.Signals | null
  /** How is not known: it was another process's child. `code` and `signal` are null. */
  inherited?: boolean
  /** Why, where the worker could not say so itself: it did not start, or it is a thread that threw. */
  error?: Error
}

/** A running worker, process or thread. */
export interface Worker {
  /** The process id; a thread has that of the master. */
  readonly pid: number
  readonly channel: Link
  /** A pidfd of it, where it is no child of this process's. Borrowed. */
  readonly pidfd?: number | null
  /** Null when the process could not be started. */
  readonly stdout: Readable | null
  readonly stderr: Readable | null
  /** Settles once, when it is gone; never rejects. */
  readonly ended: Promise<WorkerEnd>
  /** Ends it: SIGTERM lets it clean up, SIGKILL does not. A thread without signals is told by the end of its channel. */
  kill(signal: 'SIGTERM' | 'SIGKILL'): void
  /** Another process looks after it from now on: keeps nothing of it, and does nothing to it. */
  letGo?(): void
}

/** How a worker ended, in a few words. */
export function howEnded({ code, signal, inherited }: WorkerEnd): string {
  if (signal !== null) return signal
  return inherited === true ? 'how is not known: a supervisor before this one had started it' : `exit code ${code}`
}

export type StartWorker = (program: Program, handlers: LinkHandlers) => Worker

const preloadUrl = ownModule('worker/preload.js').href

export function nodeOptions({ execArgv, preload }: Program): string[] {
  return preload ? [...execArgv, '--import', preloadUrl] : [...execArgv]
}

/** Whether its program runs under a debugger, which may stop it for as long as somebody looks. */
export function isDebugged({ execArgv, env }: Program): boolean {
  return [...execArgv, ...(env.NODE_OPTIONS ?? '').split(/\s+/)].some((option) => /^--inspect(-|=|$)/.test(option))
}
