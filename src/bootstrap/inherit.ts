/**
 * A channel by inheritance: the parent makes a socket pair and gives one end to the child it starts, as a
 * descriptor whose number stands in the environment. Works for any program, not only Node.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { isMainThread } from 'node:worker_threads'
import { Channel } from '../channel/channel.js'
import { endCredentials } from '../channel/end.js'
import type { LinkHandlers } from '../channel/handlers.js'
import { Link } from '../channel/link.js'
import type { ChannelOptions } from '../channel/options.js'
import { HandoverError } from '../errors.js'
import { AF_UNIX, SO_DOMAIN, SO_TYPE, SOCK_STREAM, SOL_SOCKET } from '../syscalls/constants.js'
import { close, dup, setCloseOnExec } from '../syscalls/descriptor.js'
import { askSender } from '../syscalls/rights.js'
import { socketpair } from '../syscalls/socket.js'
import { getsockoptInt } from '../syscalls/sockopt.js'
import type { Bootstrap } from './registry.js'

/** The environment variable that holds the descriptor's number. */
export const CHANNEL_VARIABLE = 'HANDOVER_CHANNEL'

const CHILD_DESCRIPTOR = 3

export type StandardStreams = 'inherit' | 'ignore' | 'pipe' | readonly ('ignore' | 'pipe' | 'inherit' | number)[]

/** What `spawn` of node:child_process takes. */
export interface SpawnWithChannelOptions extends Omit<SpawnOptions, 'stdio'> {
  /** What the child's standard streams are. Default: all inherited. The channel comes behind them, as descriptor 3. */
  stdio?: StandardStreams
}

/**
 * Starts a program with one end of a pair as its descriptor 3. Gives the other end. Failure to start arrives as the
 * child's 'error' event, and as the end of the channel.
 */
function spawnWithEnd(
  command: string,
  args: readonly string[],
  { stdio = 'inherit', ...options }: SpawnWithChannelOptions,
  asksSender = false,
): { child: ChildProcess; descriptor: number } {
  const streams = typeof stdio === 'string' ? [stdio, stdio, stdio] : [...stdio]
  if (streams.length !== 3)
    throw new RangeError(`stdio: three streams, as the channel is the fourth, not ${streams.length}`)
  const [ours, theirs] = socketpair()
  try {
    if (asksSender) askSender(ours, true) // before anybody can say hello at the other end
    const child = spawn(command, args, {
      ...options,
      env: { ...(options.env ?? process.env), [CHANNEL_VARIABLE]: String(CHILD_DESCRIPTOR) },
      stdio: [...streams, theirs] as SpawnOptions['stdio'] & object,
    })
    return { child, descriptor: ours }
  } catch (error) {
    close(ours)
    throw error
  } finally {
    close(theirs)
  }
}

/** Starts a program with a link to it, for a master of workers. */
export function spawnWithLink(
  command: string,
  args: readonly string[],
  options: SpawnWithChannelOptions,
  handlers: LinkHandlers,
): { child: ChildProcess; channel: Link } {
  const { child, descriptor } = spawnWithEnd(command, args, options)
  return { child, channel: orKill(child, () => new Link(descriptor, handlers)) }
}

/**
 * Starts a program with a channel to it, as `spawn` of node:child_process starts one. The program finds its end with
 * `inherited()`; one in another language as the descriptor whose number is in HANDOVER_CHANNEL.
 * @param options  those of node:child_process, and those of the channel; `stdio` has three streams
 * @returns the child, whose 'error' event tells if it could not be started, and the channel, which opens when it says
 *   hello
 * @throws {SyscallError} EMFILE: no descriptors for the pair
 * @see socketpair(2)
 */
export function spawnWithChannel(
  command: string,
  args: readonly string[] = [],
  options: SpawnWithChannelOptions & ChannelOptions = {},
): { child: ChildProcess; channel: Channel } {
  const { willing, ...rest } = options
  const { child, descriptor } = spawnWithEnd(command, args, { ...rest, env: noWorker(rest.env) }, true)
  const credentials = { ...endCredentials(descriptor), pid: child.pid ?? 0 }
  const end = { descriptor, credentials, asksSender: true }
  return { child, channel: orKill(child, () => new Channel(end, willing === undefined ? {} : { willing })) }
}

/** A program that a worker starts is none itself. */
function noWorker(given: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const { HANDOVER_WORKER, HANDOVER_GENERATION, HANDOVER_GROUP, ...env } = given
  return env
}

/** A child without a channel is of no use to anybody. */
function orKill<Made>(child: ChildProcess, make: () => Made): Made {
  try {
    return make()
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
 * Takes the end this process or thread was started with. It can be taken once: the variable is removed, so that
 * programs started from here do not mistake it for theirs.
 */
function inheritedEnd(): number {
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
  if (!isMainThread) return dup(descriptor)
  setCloseOnExec(descriptor)
  return descriptor
}

/** The link of a worker to its master. @throws {HandoverError} as {@link inherited} */
export function inheritedLink(handlers: LinkHandlers): Link {
  return new Link(inheritedEnd(), handlers)
}

/**
 * The channel this process or thread was started with. It can be taken once, and programs started from here do not find
 * it.
 * @throws {HandoverError} ERR_HANDOVER_NO_CHANNEL: there is none; ERR_HANDOVER_BAD_CHANNEL: it is no UNIX stream socket
 */
export function inherited(options: ChannelOptions = {}): Channel {
  const descriptor = inheritedEnd()
  return new Channel({ descriptor, credentials: endCredentials(descriptor) }, options)
}

export function isUnixStream(descriptor: number): boolean {
  try {
    if (getsockoptInt(descriptor, SOL_SOCKET, SO_TYPE) !== SOCK_STREAM) return false
    // macOS has no SO_DOMAIN: there the hello alone tells a stranger.
    return process.platform !== 'linux' || getsockoptInt(descriptor, SOL_SOCKET, SO_DOMAIN) === AF_UNIX
  } catch {
    return false
  }
}

/** `inherited:`, for programs that get the address of their channel as text, whatever it is. */
export const inheritance: Bootstrap = {
  scheme: 'inherited',
  connect: () => {
    const descriptor = inheritedEnd()
    return { descriptor, credentials: endCredentials(descriptor) }
  },
}
