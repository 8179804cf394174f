/** Waiting until a descriptor is ready. All waits of a thread share one queue of the kernel's, which the loop watches. */
import { shown } from '../arguments.js'
import { errnoOf, SyscallError } from '../errors.js'
import { READY, ReadyQueue } from '../syscalls/ready.js'
import type { Called } from '../syscalls/result.js'
import { READABLE, Watcher } from '../syscalls/watch.js'
import { onAbort, reasonOf } from './abort.js'
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

const waiting = new Map<number, Set<Waiter>>()
let queue: ReadyQueue | null = null
let watcher: Watcher | null = null

/**
 * Waits until a receive, or an accept, would not block: something is there, the stream is at its end, or the socket has
 * an error. Borrows the descriptor: close it by {@link Descriptor.close} or {@link close}, which end the waiting. Keeps
 * the process alive.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF, EPERM (a regular file is always ready), EMFILE, ENFILE, ECANCELED (it was closed or
 *   released meanwhile)
 * @see poll(2), epoll(7)
 */
export async function readable(descriptor: DescriptorLike, options: WaitOptions = {}): Promise<void> {
  return wait(descriptor, READY.readable, options, readable)
}

/**
 * Waits until a send would not block, or a connection is decided; as {@link readable} otherwise. An unconnected
 * datagram socket is always writable, even when the receiver that a datagram is for is full.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF, EPERM, EMFILE, ENFILE, ECANCELED
 * @see poll(2), epoll(7)
 */
export async function writable(descriptor: DescriptorLike, options: WaitOptions = {}): Promise<void> {
  return wait(descriptor, READY.writable, options, writable)
}

/**
 * Waits for urgent data (out of band), or for the peer to have sent its end; as {@link readable} otherwise.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF, EPERM, EMFILE, ENFILE, ECANCELED
 * @see poll(2), POLLPRI; tcp(7)
 */
export async function urgent(descriptor: DescriptorLike, options: WaitOptions = {}): Promise<void> {
  return wait(descriptor, READY.urgent, options, urgent)
}

function wait(descriptor: DescriptorLike, events: number, options: WaitOptions, called: Called): Promise<void> {
  const fd = descriptorOf('descriptor', descriptor, 'poll')
  const signal = signalOf(options)
  if (signal?.aborted) return Promise.reject(reasonOf(signal))
  return new Promise((resolve, reject) => {
    let forgetSignal = (): void => {}
    const leave = (): void => {
      forgetSignal()
      waiters.delete(waiter)
      if (waiters.size === 0) waiting.delete(fd)
      watch()
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
    const waiters = waiting.get(fd) ?? new Set()
    waiters.add(waiter)
    waiting.set(fd, waiters)
    try {
      queue ??= new ReadyQueue()
      queue.arm(fd, eventsOf(waiters), called)
      watch()
    } catch (error) {
      return waiter.fail(error)
    }
    if (signal !== undefined) forgetSignal = onAbort(signal, (reason) => abandon(fd, waiter, reason))
  })
}

/** @throws {TypeError} the options are none, or something else stands in their place */
function signalOf(options: WaitOptions): AbortSignal | undefined {
  if (typeof options !== 'object' || options === null || 'aborted' in options) {
    throw new TypeError(`options: an object { signal }, not ${shown(options)}`)
  }
  const strange = Object.keys(options).find((name) => name !== 'signal')
  if (strange !== undefined) throw new TypeError(`options: { signal } alone, not ${strange}`)
  const { signal } = options
  if (signal === undefined || typeof signal?.addEventListener === 'function') return signal
  throw new TypeError(`options.signal: an AbortSignal, not ${shown(signal)}`)
}

function eventsOf(waiters: Iterable<Waiter>): number {
  let events = 0
  for (const waiter of waiters) events |= waiter.events
  return events
}

/** One waits no longer: what the others wait for goes on being reported. */
function abandon(fd: number, waiter: Waiter, reason: unknown): void {
  waiter.fail(reason)
  rearm(fd)
}

function rearm(fd: number): void {
  const waiters = waiting.get(fd)
  if (waiters === undefined) return queue?.disarm(fd)
  try {
    queue?.arm(fd, eventsOf(waiters), rearm)
  } catch (error) {
    for (const waiter of [...waiters]) waiter.fail(error)
  }
}

/** Looks at the queue, and keeps the process alive, while somebody waits. */
function watch(): void {
  if (queue === null) return
  watcher ??= new Watcher(queue.descriptor, () => queue?.take(ready))
  watcher.watch(waiting.size > 0 ? READABLE : 0)
}

function ready(fd: number, events: number): void {
  const waiters = waiting.get(fd)
  if (waiters === undefined) return
  for (const waiter of [...waiters]) if ((waiter.events & events) !== 0) waiter.succeed()
  // An event disarms; who waits for another one still does.
  if (waiting.get(fd) === waiters) rearm(fd)
}

/**
 * A number is about to be closed or given away, or is a new descriptor's: who waits for what it was will hear nothing of
 * it any more.
 */
export function forget(fd: number): void {
  const waiters = waiting.get(fd)
  if (waiters === undefined) return
  queue?.disarm(fd)
  const error = new SyscallError(errnoOf('ECANCELED'), 'poll')
  for (const waiter of [...waiters]) waiter.fail(error)
}
