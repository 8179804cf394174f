import type { ChildProcess } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { type StandardStreams, spawnWithChannel } from '../../bootstrap/inherit.js'
import type { Channel } from '../../channel/channel.js'
import { HandoverError } from '../../errors.js'
import { SUCCESSION_VARIABLE } from './description.js'
import type { HandOverToOptions } from './hand-over-to.js'
import { HeirWords } from './heir-words.js'

/** What takes over: by default the same program with the same arguments, as it stands on the disk now. */
export interface HeirOptions extends Omit<HandOverToOptions, 'abandon'> {
  command?: string
  args?: readonly string[]
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** Default: those of this process. */
  stdio?: StandardStreams
  /** The successor was started; it has nothing yet. */
  started?: (pid: number) => void
}

/** What can be handed over: a Supervisor. */
interface Predecessor {
  handOverTo(channel: Channel, options: HandOverToOptions): Promise<void>
}

/**
 * Starts a new version of this program and hands the supervisor over to it: there, {@link isHeir} tells it to take over
 * with the channel of `inherited()`. When this settles this process has nothing left to do but to tell its service manager
 * of the new main process, and to exit.
 * @returns the pid of the successor
 * @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED: the supervisor goes on as before, and the successor is dead; with its
 *   last `output`
 */
export async function startHeir(supervisor: Predecessor, options: HeirOptions = {}): Promise<number> {
  const { command = process.execPath, args = ownArguments(), env = process.env, stdio = 'inherit', ...times } = options
  const { cwd = workingDirectory(), started, ...limits } = times
  if (process.pid === 1) {
    const why = 'this is process 1, with which its container ends: start it under an init, such as `docker run --init`'
    throw new HandoverError('ERR_HANDOVER_NOT_REPLACED', why)
  }
  const words = new HeirWords()
  try {
    const heir = spawnWithChannel(command, args, {
      cwd,
      env: words.environment({ ...env, [SUCCESSION_VARIABLE]: '1' }),
      stdio,
      detached: process.ppid === 1, // a shell's jobs stay together; what a service manager started leads its own session anyway
    })
    const end = ended(heir.child)
    const abandon = async (): Promise<void> => {
      heir.child.kill('SIGKILL')
      await end
    }
    if (heir.child.pid !== undefined) started?.(heir.child.pid)
    try {
      await supervisor.handOverTo(heir.channel, { ...limits, abandon })
    } catch (error) {
      await abandon() // it may have been refused before anything was tried
      const how = heir.child.exitCode === null ? '' : ` (it ended with code ${heir.child.exitCode})`
      const { lines } = words
      const output = lines.length > 0 ? lines : undefined
      const message = `${(error as Error).message}${how}`
      throw new HandoverError('ERR_HANDOVER_NOT_REPLACED', message, { cause: error, output })
    }
    heir.child.unref()
    return heir.child.pid ?? 0
  } finally {
    words.close()
  }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
}

function ownArguments(): string[] {
  return [...process.execArgv, ...process.argv.slice(1)]
}

/** Where this process was started, as a name: a link on the way may lead to a new release by now. */
const startedIn = ((): string | null => {
  const { PWD } = process.env
  try {
    return PWD !== undefined && isAbsolute(PWD) && realpathSync(PWD) === process.cwd() ? PWD : null
  } catch {
    return null
  }
})()

function workingDirectory(): string {
  return startedIn ?? process.cwd()
}

/** Whether this process was started to take over; asked once, as programs started from here are not. */
export function isHeir(): boolean {
  const heir = process.env[SUCCESSION_VARIABLE] === '1'
  delete process.env[SUCCESSION_VARIABLE]
  return heir
}
