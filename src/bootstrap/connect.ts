import { setTimeout as delay } from 'node:timers/promises'
import { checkOptions, shown, wholeMilliseconds } from '../arguments.js'
import { Channel } from '../channel/channel.js'
import { type End, endCredentials } from '../channel/end.js'
import type { ChannelOptions, Reconnect } from '../channel/options.js'
import { HandoverError } from '../errors.js'
import { CONNECT_RETRY_FIRST, CONNECT_RETRY_MAX, CONNECT_TIMEOUT, HELLO_MAX } from '../limits.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import { close } from '../syscalls/descriptor.js'
import { getpeername } from '../syscalls/socket-name.js'
import { type Admission, checkAdmission, stranger } from './admission.js'
import { isUnixStream } from './inherit.js'
import { openWithin } from './opening.js'
import { bootstrapOf } from './registry.js'

export interface ConnectOptions extends ChannelOptions {
  /** Milliseconds until the channel must be open: both sides have said hello. Default 10,000. */
  timeout?: number
  signal?: AbortSignal
  /** Go on trying while nobody listens there yet, until the time is up. Default false. */
  retry?: boolean
  /** When the peer is gone, look for it again at the same address until the channel is closed. Default false. */
  reconnect?: boolean
  /** Whom to trust at the other end. Default: the user of this process, and root. */
  admit?: Admission
}

/** Root can be whoever it wants: one that serves other users is no stranger to them. */
const ROOT = [0]

/**
 * A channel to a peer that listens, or has lent an end. Resolves when both sides have said hello.
 * @param address  what `listen` or `lend` told: a path, `@name`, `pid:…`, `systemd:name`; or a connected UNIX stream
 *   socket as a {@link Descriptor}, which is taken
 * @throws {SyscallError} ENOENT, ECONNREFUSED: nobody listens there (see `retry`); EACCES; EPERM: see `lend`
 * @throws {HandoverError} ERR_HANDOVER_TIMED_OUT, _NO_HELLO, _STRANGER, _VERSION, _BAD_FRAME, _PEER_GONE
 * @throws {TypeError | RangeError} a wrong argument
 */
export async function connect(address: string | Descriptor, options: ConnectOptions = {}): Promise<Channel> {
  const { timeout = CONNECT_TIMEOUT, signal, retry = false, reconnect = false, admit } = options
  checkOptions(options, OPTIONS)
  checkAdmission(admit)
  wholeMilliseconds('timeout', timeout)
  const given = { timeout, ...(signal && { signal }) }
  let failed: Error | null = null
  const late = (): string =>
    failed === null ? 'the other side did not say hello' : `nobody listened there (${failed.message})`
  if (address instanceof Descriptor) {
    const end = takenEnd(address, admit)
    return trusted(await openWithin(given, () => new Channel(end, options), late), end, admit)
  }
  const { bootstrap, place } = bootstrapOf(address, 'connect')
  const reach: Reach = async (stop, patiently, referenced) => {
    for (let pause = CONNECT_RETRY_FIRST; ; pause = Math.min(2 * pause, CONNECT_RETRY_MAX)) {
      stop.throwIfAborted()
      try {
        const end = admitted(await bootstrap.connect(place, { signal: stop }), admit)
        failed = null
        return end
      } catch (error) {
        failed = error as Error
        const busy = (error as { code?: string }).code === 'EAGAIN' // its queue is full of others who connect
        if (!(patiently || busy) || bootstrap.retries?.(error) !== true) throw error
        await delay(pause, undefined, { signal: stop, ref: referenced() }).catch(() => stop.throwIfAborted())
      }
    }
  }
  let end: End | null = null
  const channel = await openWithin(
    given,
    async (stop) => {
      end = await reach(stop, retry, () => true)
      return new Channel(end, options, reconnect ? fromTimeToTime(reach) : undefined)
    },
    late,
  )
  return trusted(channel, end, admit)
}

const OPTIONS = ['timeout', 'signal', 'retry', 'reconnect', 'admit', 'willing'] as const

/** Of a pair only its hello tells who is there: nobody has had the channel yet. */
function trusted(channel: Channel, end: End | null, admission: Admission | undefined): Channel {
  const reason = end?.asksSender && channel.peer !== null ? stranger(channel.peer, admission, ROOT) : null
  if (reason === null) return channel
  channel.close()
  throw new HandoverError('ERR_HANDOVER_STRANGER', `at the other end, ${reason}`)
}

type Reach = (stop: AbortSignal, patiently: boolean, referenced: () => boolean) => Promise<End>

/** Waits before it looks again, and longer each time it was in vain: a peer may drop whoever connects. */
function fromTimeToTime(reach: Reach): Reconnect {
  let pause = CONNECT_RETRY_FIRST
  let found = performance.now()
  return async (gone, referenced) => {
    const lasted = performance.now() - found > CONNECT_RETRY_MAX
    pause = lasted ? CONNECT_RETRY_FIRST : Math.min(2 * pause, CONNECT_RETRY_MAX)
    await delay(pause, undefined, { signal: gone, ref: referenced() })
    const end = await reach(gone, true, referenced)
    found = performance.now()
    return { ...end, patience: HELLO_MAX }
  }
}

function admitted(end: End, admission: Admission | undefined): End {
  const reason = end.asksSender ? null : stranger(end.credentials, admission, ROOT)
  if (reason === null) return end
  close(end.descriptor)
  throw new HandoverError('ERR_HANDOVER_STRANGER', `at the other end, ${reason}`)
}

/** Takes a connected socket that somebody has got by means of their own. */
function takenEnd(descriptor: Descriptor, admission: Admission | undefined): End {
  if (descriptor.fd < 0) throw new TypeError(`address: an open Descriptor, not ${shown(descriptor)} that is closed`)
  const number = descriptor.release()
  try {
    if (!isUnixStream(number)) throw new TypeError(`address: a connected UNIX stream socket, not descriptor ${number}`)
    getpeername(number)
  } catch (error) {
    close(number)
    throw error
  }
  const credentials = endCredentials(number)
  // The kernel names whoever made a pair, at both of its ends: that was this process.
  return admitted({ descriptor: number, credentials, asksSender: credentials.pid === process.pid }, admission)
}
