/**
 * Waiting until a descriptor is ready. libuv allows one watcher a descriptor and thread, so that all who wait for one
 * share it; it goes when nobody waits.
 */
import { shown } from '../arguments.js'
import { errnoOf, SyscallError } from '../errors.js'
import type { Called } from '../syscalls/result.js'
import { READABLE, URGENT, Watcher, WRITABLE } from '../syscalls/watch.js'
import { type DescriptorLike, descriptorOf } from './socket-argument.js'

export interface WaitOptions {
  /** Ends the waiting: the promise is rejected with the signal's reason. */
  signal?: AbortSignal | undefined
}

interface Waiter {
  events: number
  succeed(): void
  fail(error: unknown): void
}

interface Wait {
  watcher: Watcher
  waiters: Set<Waiter>
}

const waits = new Map<number, Wait>()

/**
 * Waits until a receive, or an accept, would not block: something is there, the stream is at its end, or the socket has
 * an error. Borrows the descriptor: close it by {@link Descriptor.close} or {@link close}, which end the waiting. Keeps
 * the process alive. The descriptor becomes non-blocking.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF, EPERM (a regular file is always ready), EEXIST (a `net.Socket` reads it, or another
 *   watcher: wait for a `dup` of it), ECANCELED (it was closed or released meanwhile)
 * @see poll(2)
 */
export async function readable(descriptor: DescriptorLike, options: WaitOptions = {}): Promise<void> {
  return wait(descriptor, READABLE, options, readable)
}

/**
 * Waits until a send would not block, or a connection is decided; as {@link readable} otherwise. An unconnected
 * datagram socket is always writable, even when the receiver that a datagram is for is full.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF, EPERM, EEXIST, ECANCELED
 * @see poll(2)
 */
export async function writable(descriptor: DescriptorLike, options: WaitOptions = {}): Promise<void> {
  return wait(descriptor, WRITABLE, options, writable)
}

/**
 * Waits for urgent data (out of band), or for the peer to have sent its end; as {@link readable} otherwise.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF, EPERM, EEXIST, ECANCELED
 * @see poll(2), POLLPRI; tcp(7)
 */
export async function urgent(descriptor: DescriptorLike, options: WaitOptions = {}): Promise<void> {
  return wait(descriptor, URGENT, options, urgent)
}

function wait(descriptor: DescriptorLike, events: number, options: WaitOptions, called: Called): Promise<void> {
  const fd = descriptorOf('descriptor', descriptor, 'uv_poll_init')
  const signal = signalOf(options)
  if (signal?.aborted) return Promise.reject(reasonOf(signal))
  return new Promise((resolve, reject) => {
    const shared = sharedWait(fd, called)
    const aborted = (): void => waiter.fail(reasonOf(signal as AbortSignal))
    const leave = (): void => {
      signal?.removeEventListener('abort', aborted)
      shared.waiters.delete(waiter)
      update(fd, shared)
    }
    const waiter: Waiter = {
      events,
      succeed() {
        leave()
        resolve()
      },
      fail(error) {
        leave()
        reject(error)
      },
    }
    shared.waiters.add(waiter)
    signal?.addEventListener('abort', aborted)
    try {
      update(fd, shared)
    } catch (error) {
      waiter.fail(error)
    }
  })
}

/** @throws {TypeError} the options are none, or the signal itself stands in their place */
function signalOf(options: WaitOptions): AbortSignal | undefined {
  if (typeof options !== 'object' || options === null || 'aborted' in options) {
    throw new TypeError(`options: an object { signal }, not ${shown(options)}`)
  }
  const { signal } = options
  if (signal === undefined || typeof signal?.addEventListener === 'function') return signal
  throw new TypeError(`options.signal: an AbortSignal, not ${shown(signal)}`)
}

/** Signals that are not Node's own may have no reason. */
function reasonOf(signal: AbortSignal): unknown {
  return signal.reason ?? new DOMException('This operation was aborted', 'AbortError')
}

function sharedWait(fd: number, called: Called): Wait {
  const known = waits.get(fd)
  if (known !== undefined) return known
  const waiters = new Set<Waiter>()
  const ready = (events: number): void => {
    for (const waiter of [...waiters]) if ((waiter.events & events) !== 0) waiter.succeed()
  }
  const shared = { watcher: watcherOf(fd, ready, called), waiters }
  waits.set(fd, shared)
  return shared
}

/** The error of a watcher that cannot be made starts where the waiting was asked for. */
function watcherOf(fd: number, ready: (events: number) => void, called: Called): Watcher {
  try {
    return new Watcher(fd, ready, 'keep')
  } catch (error) {
    Error.captureStackTrace(error as Error, called)
    throw error
  }
}

/** Watches for what somebody waits for; where nobody does, the watcher goes. */
function update(fd: number, { watcher, waiters }: Wait): void {
  let events = 0
  for (const waiter of waiters) events |= waiter.events
  if (events !== 0) return watcher.watch(events)
  watcher.close()
  waits.delete(fd)
}

/**
 * A number is about to be closed or given away, or is a new descriptor's: who waits for what it was will hear nothing of
 * it any more.
 */
export function forget(fd: number): void {
  const wait = waits.get(fd)
  if (wait === undefined) return
  const error = new SyscallError(errnoOf('ECANCELED'), 'poll')
  for (const waiter of [...wait.waiters]) waiter.fail(error)
}
