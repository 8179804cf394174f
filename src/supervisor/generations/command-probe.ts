import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { scheduledAsUsual } from '../../syscalls/schedule.js'
import type { Slot } from '../workers/slot.js'

/** Where the command runs, and for whom. */
export interface CommandSetting {
  readonly generation: number
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  /** The workers it is asked about. */
  slots(): readonly Slot[]
}

/** Characters of its last line that are told. */
const LINE_LENGTH = 200

/**
 * Runs a command and waits for its end; it is killed when the signal aborts.
 * @throws {Error} it does not end with code 0: the message says how it does, and what it last wrote
 */
export function askCommand(command: readonly string[], setting: CommandSetting, signal: AbortSignal): Promise<void> {
  const { generation, env, cwd, slots } = setting
  const [program, ...args] = command as [string, ...string[]]
  const own = {
    HANDOVER_GENERATION: String(generation),
    HANDOVER_PIDS: slots()
      .map(({ pid }) => pid)
      .join(' '),
  }
  return new Promise((resolve, reject) => {
    const failed = (how: string): void => reject(new Error(`the command ${program} ${how}`))
    const child = scheduledAsUsual(() =>
      spawn(program, args, { cwd, env: { ...env, ...own }, stdio: ['ignore', 'pipe', 'pipe'] }),
    )
    const forget = (): void => signal.removeEventListener('abort', stop)
    // Before anything else: what cannot be started has no output either.
    child.once('error', (error) => {
      forget()
      failed(`cannot be run: ${error.message}`)
    })
    let last = ''
    const hear = (chunk: Buffer): void => {
      last = (last + chunk).trimEnd().split('\n').at(-1)?.slice(-LINE_LENGTH) ?? ''
    }
    // Undefined where there was no descriptor left for them.
    const outputs = [child.stdout, child.stderr] as (Readable | undefined)[]
    for (const output of outputs) output?.on('data', hear)
    const stop = (): void => {
      child.kill('SIGKILL')
    }
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    child.once('exit', (code, killedBy) => {
      forget()
      // What it started may hold its output open: what it wrote itself is here in the next turn.
      setImmediate(() => {
        for (const output of outputs) output?.destroy()
        if (code === 0) return resolve()
        const how = signal.aborted ? 'does not end' : `ended with ${killedBy ?? `exit code ${code}`}`
        failed(last === '' ? how : `${how}: ${last}`)
      })
    })
  })
}
