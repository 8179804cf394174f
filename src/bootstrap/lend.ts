/**
 * Channels by a number: one end of a pair is lent under an address such as `pid:4711/23/10233`, which says in which
 * process it is, as which descriptor, and which socket that must be. Any text carries the address: an argument, a
 * variable, a line on a pipe, a message to a thread.
 */
import { Channel } from '../channel/channel.js'
import { type End, endCredentials } from '../channel/end.js'
import type { ChannelOptions } from '../channel/options.js'
import { HandoverError } from '../errors.js'
import { close, dup } from '../syscalls/descriptor.js'
import { identify, parseIdentity } from '../syscalls/identity.js'
import { socketpair } from '../syscalls/socket.js'
import { copyOf } from './process.js'
import type { Bootstrap } from './registry.js'

/** An end that waits to be fetched. */
export interface Loan {
  readonly channel: Channel
  /** What the other side gives to `connect`. It works once. */
  readonly address: string
}

/**
 * A channel whose other end is fetched by whoever is told the address: a thread of this process, or another process
 * that may look into this one (Linux: of the same user, where kernel.yama.ptrace_scope allows; a parent of this one, or
 * root). Closing the channel takes the loan back.
 * @throws {SyscallError} EMFILE: no descriptors for the pair
 * @see pidfd_getfd(2)
 */
export function lend(options: ChannelOptions = {}): Loan {
  const [ours, lent] = socketpair()
  let channel: Channel
  let address: string
  try {
    address = `pid:${process.pid}/${lent}/${cookieOf(lent)}`
    channel = new Channel({ descriptor: ours, credentials: endCredentials(ours), asksSender: true }, options)
  } catch (error) {
    close(lent)
    throw error
  }
  // As long as it is open here nobody sees the end of the other's: it goes once the other has its own.
  channel.opened.catch(() => {}).finally(() => close(lent))
  return { channel, address }
}

function cookieOf(descriptor: number): string {
  const identity = parseIdentity(identify(descriptor))
  return identity?.socket ? identity.cookie : ''
}

export const pid: Bootstrap = {
  scheme: 'pid',
  connect(place) {
    const [, process, number, cookie] = /^(\d{1,10})\/(\d{1,9})\/(\d{1,20})$/.exec(place) ?? []
    if (cookie === undefined) {
      throw new TypeError(`address: pid:PROCESS/DESCRIPTOR/SOCKET as lend() told it, not "pid:${place}"`)
    }
    return fetched(Number(process), Number(number), cookie)
  },
}

function fetched(pid: number, number: number, cookie: string): End {
  const gone = (what: string, cause?: unknown): HandoverError =>
    new HandoverError('ERR_HANDOVER_BAD_CHANNEL', `pid:${pid}/${number}/${cookie} ${what}`, { cause })
  let descriptor: number
  try {
    descriptor = pid === process.pid ? dup(number) : copyOf(pid, number)
  } catch (error) {
    const { code } = error as { code?: string }
    throw code === 'EBADF' || code === 'ESRCH' ? gone('is lent no more', error) : error
  }
  if (cookieOf(descriptor) === cookie) return { descriptor, credentials: endCredentials(descriptor) }
  close(descriptor)
  throw gone('is lent no more: the number leads elsewhere')
}
