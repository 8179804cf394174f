/**
 * A channel by inheritance: the parent makes a socket pair and gives one end to the child it starts, as a
 * descriptor whose number stands in the environment. Works for any program, not only Node.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { isMainThread } from 'node:worker_threads'
import type { LinkHandlers } from '../channel/handlers.js'
import { Link } from '../channel/link.js'
import { HandoverError } from '../errors.js'
import { AF_UNIX, SO_DOMAIN, SO_TYPE, SOCK_STREAM, SOL_SOCKET } from '../syscalls/constants.js'
import { close, dup, setCloseOnExec } from '../syscalls/descriptor.js'
import { socketpair } from '../syscalls/socket.js'
import { getsockoptInt } from '../syscalls/sockopt.js'

/** The environment variable that holds the descriptor's number. */
export const CHANNEL_VARIABLE = 'HANDOVER_CHANNEL'

export interface SpawnWithChannelOptions extends Omit<SpawnOptions, 'stdio'> {
  /** What the child's standard streams are. Default: all inherited. The channel comes behind them, as descriptor 3. */
  stdio?: ['ignore' | 'pipe' | 'inherit', 'ignore' | 'pipe' | 'inherit', 'ignore' | 'pipe' | 'inherit']
}

const CHILD_DESCRIPTOR = 3

/**
 * Starts a program with a channel to it. Failure to start arrives as the child's 'error' event, and as `closed`.
 * @throws {SyscallError} EMFILE: no descriptors for the pair
 * @see socketpair(2)
 */
export function spawnWithChannel(
  command: string,
  args: readonly string[],
  options: SpawnWithChannelOptions,
  handlers: LinkHandlers,
): { child: ChildProcess; channel: Link } {
  const [ours, theirs] = socketpair()
  let child: ChildProcess
  try {
    child = spawn(command, args, {
      ...options,
      env: { ...(options.env ?? process.env), [CHANNEL_VARIABLE]: String(CHILD_DESCRIPTOR) },
      stdio: [...(options.stdio ?? ['inherit', 'inherit', 'inherit']), theirs],
    })
  } catch (error) {
    close(ours)
    throw error
  } finally {
    close(theirs)
  }
  try {
    return { child, channel: new Link(ours, handlers) }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}

/**
 * A channel to a worker thread. The thread duplicates `lent`, whose number it finds in its environment; close `lent`
 * once the peer has said hello or the thread has ended. Gives `lent`.
 */
export function lendToThread(handlers: LinkHandlers): {
  channel: Link
  lent: number
  env: Record<string, string>
} {
  const [ours, lent] = socketpair()
  try {
    return { channel: new Link(ours, handlers), lent, env: { [CHANNEL_VARIABLE]: String(lent) } }
  } catch (error) {
    close(lent)
    throw error
  }
}

/** Whether this process or thread was started with a channel that nobody has taken yet. */
export function hasInherited(): boolean {
  return process.env[CHANNEL_VARIABLE] !== undefined
}

/**
 * Takes the channel this process or thread was started with. It can be taken once: the variable is removed, so that
 * programs started from here do not mistake it for theirs.
 * @throws {HandoverError} ERR_HANDOVER_NO_CHANNEL: there is none; ERR_HANDOVER_BAD_CHANNEL: it is no UNIX stream socket
 */
export function inherited(handlers: LinkHandlers): Link {
  const value = process.env[CHANNEL_VARIABLE]
  if (value === undefined) {
    throw new HandoverError('ERR_HANDOVER_NO_CHANNEL', `${CHANNEL_VARIABLE} is not set: nobody passed a channel`)
  }
  delete process.env[CHANNEL_VARIABLE]
  const descriptor = /^\d{1,9}$/.test(value) ? Number(value) : -1
  if (!isUnixStream(descriptor)) {
    throw new HandoverError('ERR_HANDOVER_BAD_CHANNEL', `${CHANNEL_VARIABLE}=${value} is no UNIX stream socket`)
  }
  // A thread shares its parent's descriptors: what it is shown there is lent, and its own copy is made here.
  if (!isMainThread) return new Link(dup(descriptor), handlers)
  setCloseOnExec(descriptor)
  return new Link(descriptor, handlers)
}

function isUnixStream(descriptor: number): boolean {
  try {
    if (getsockoptInt(descriptor, SOL_SOCKET, SO_TYPE) !== SOCK_STREAM) return false
    // macOS has no SO_DOMAIN: there the hello alone tells a stranger.
    return process.platform !== 'linux' || getsockoptInt(descriptor, SOL_SOCKET, SO_DOMAIN) === AF_UNIX
  } catch {
    return false
  }
}
