/**
 * Channels by a number: one end of a pair is lent under an address such as `pid:4711/23/10233`, which says in which
 * process it is, as which descriptor, and which socket that must be. Any text carries the address: an argument, a
 * variable, a line on a pipe, a message to a thread.
 */
import { Channel } from '../channel/channel.js'
import { type End, endCredentials } from '../channel/end.js'
import type { ChannelOptions } from '../channel/options.js'
import { errnoOf, HandoverError, SyscallError } from '../errors.js'
import { DESCRIPTORS_PER_MESSAGE_MAX } from '../limits.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import { MSG_CTRUNC } from '../syscalls/constants.js'
import type { Credentials } from '../syscalls/credentials.js'
import { close, closeMany, dup } from '../syscalls/descriptor.js'
import { identify, parseIdentity } from '../syscalls/identity.js'
import { ARRIVED_FIELDS, askSender, recvRights, sendRights } from '../syscalls/rights.js'
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
 * @throws {SyscallError} EMFILE: no descriptors for the pair; ETOOMANYREFS: too many of this user's are in flight already
 * @see pidfd_getfd(2)
 */
export function lend(options: ChannelOptions = {}): Loan {
  const [ours, theirs] = socketpair()
  let lent: Descriptor | null = null
  let address: string
  let credentials: Credentials
  try {
    lent = carrierOf(theirs)
    address = `pid:${process.pid}/${lent.fd}/${cookieOf(lent.fd)}`
    credentials = endCredentials(ours)
    askSender(ours, true)
  } catch (error) {
    lent?.close()
    close(ours)
    throw error
  } finally {
    close(theirs)
  }
  try {
    const channel = new Channel({ descriptor: ours, credentials, asksSender: true }, options)
    channel.opened.catch(() => {}).finally(() => lent.close())
    return { channel, address }
  } catch (error) {
    lent.close()
    throw error
  }
}

/**
 * What is lent is a socket in which the end lies: who receives it first has it, and nobody else, however many copy the
 * socket. And nobody here has the end, so that its end is seen whoever has it. Borrows it.
 */
function carrierOf(end: number): Descriptor {
  const [outside, inside] = socketpair()
  try {
    const sent = sendRights(inside, Buffer.of(0), 0, 1, Int32Array.of(end), 0, 1)
    if (sent < 0) throw new SyscallError(sent, 'sendmsg')
    return new Descriptor(outside)
  } catch (error) {
    close(outside)
    throw error
  } finally {
    close(inside)
  }
}

function cookieOf(descriptor: number): string {
  const identity = parseIdentity(identify(descriptor))
  return identity?.socket ? identity.cookie : ''
}

export const pid: Bootstrap = {
  scheme: 'pid',
  connect(place) {
    const [, process, number, cookie] = /^(\d{1,10})\/(\d{1,9})\/(\d{1,20})$/.exec(place) ?? []
    if (cookie === undefined || !(Number(process) > 0 && Number(process) <= 0x7fffffff)) {
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
  try {
    if (cookieOf(descriptor) !== cookie) throw gone('is lent no more: the number leads elsewhere')
    const end = received(descriptor)
    if (end === null) throw gone('is lent no more: somebody has fetched it')
    return { descriptor: end, credentials: endCredentials(end) }
  } finally {
    close(descriptor)
  }
}

/**
 * What lies in a lent socket; null if nothing does any more, or something else. Borrows it.
 * @throws {SyscallError} EMFILE: there was no room for it, and it is lost
 */
function received(carrier: number): number | null {
  const descriptors = new Int32Array(DESCRIPTORS_PER_MESSAGE_MAX)
  const arrived = new Int32Array(ARRIVED_FIELDS)
  const bytes = recvRights(carrier, Buffer.alloc(1), 0, 1, descriptors, arrived)
  if (bytes < 0) throw new SyscallError(bytes, 'recvmsg')
  const [count = 0, flags = 0] = arrived
  const cut = (flags & MSG_CTRUNC) !== 0
  if (count === 1 && !cut) return descriptors[0] as number
  closeMany(descriptors, 0, count)
  if (cut) throw new SyscallError(errnoOf('EMFILE'), 'recvmsg')
  return null
}
