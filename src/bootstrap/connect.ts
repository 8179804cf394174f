import { setTimeout as delay } from 'node:timers/promises'
import { shown, wholeNumber } from '../arguments.js'
import { Channel } from '../channel/channel.js'
import { type End, endCredentials } from '../channel/end.js'
import type { ChannelOptions } from '../channel/options.js'
import { onStop } from '../channel/stop.js'
import { HandoverError } from '../errors.js'
import { CONNECT_RETRY_FIRST, CONNECT_RETRY_MAX, CONNECT_TIMEOUT } from '../limits.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import { close } from '../syscalls/descriptor.js'
import { type Admission, checkAdmission, stranger } from './admission.js'
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
  checkAdmission(admit)
  wholeNumber('timeout', timeout, 0, 0x7fffffff)
  if (address instanceof Descriptor) return open(takenEnd(address, admit), options)
  const { bootstrap, place } = bootstrapOf(address, 'connect')
  const reach = async (stop: AbortSignal, patiently: boolean): Promise<End> => {
    for (let pause = CONNECT_RETRY_FIRST; ; pause = Math.min(2 * pause, CONNECT_RETRY_MAX)) {
      stop.throwIfAborted()
      try {
        return admitted(await bootstrap.connect(place, { signal: stop }), admit)
      } catch (error) {
        if (!patiently || bootstrap.retries?.(error) !== true) throw error
        await delay(pause, undefined, { signal: stop }).catch(() => stop.throwIfAborted())
      }
    }
  }
  const controller = new AbortController()
  const stop = onStop({ timeout, ...(signal && { signal }) }, (reason) => controller.abort(reason))
  try {
    const end = await reach(controller.signal, retry)
    return await open(end, options, controller.signal, reconnect ? (gone) => again(reach, gone) : undefined)
  } finally {
    stop()
  }
}

/** Waits a little first: a peer that drops whoever connects must not keep both sides busy. */
async function again(reach: (stop: AbortSignal, patiently: boolean) => Promise<End>, gone: AbortSignal): Promise<End> {
  await delay(CONNECT_RETRY_FIRST, undefined, { signal: gone })
  return reach(gone, true)
}

/** Opens a channel over an end. Takes it. */
async function open(
  end: End,
  options: ConnectOptions,
  stop?: AbortSignal,
  reconnect?: (gone: AbortSignal) => Promise<End>,
): Promise<Channel> {
  const channel = new Channel(end, options, reconnect)
  const aborted = (): void => channel.close()
  if (stop?.aborted) aborted()
  stop?.addEventListener('abort', aborted, { once: true })
  try {
    return await channel.opened
  } catch (error) {
    stop?.throwIfAborted()
    throw error
  } finally {
    stop?.removeEventListener('abort', aborted)
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
  return admitted({ descriptor: number, credentials: endCredentials(number) }, admission)
}
