/**
 * Waiting until a descriptor is ready. libuv allows one watcher a descriptor and thread, so that all who wait for one
 * share it; it goes when nobody waits.
 */
import { shown } from '../arguments.js'
import { errnoOf, SyscallError } from '../errors.js'
import { READABLE, URGENT, Watcher, WRITABLE } from '../syscalls/watch.js'
import { type DescriptorLike, descriptorOf } from './socket-argument.js'

export interface WaitOptions {
  /** Ends the waiting: the promise is rejected with the signal's reason. */
  signal?: AbortSignal | undefined
}

interface Waiter {
  events: number
  settle(error?: unknown): void
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
 * @throws {SyscallError} EBADF, EPERM (a regular file is always ready), EEXIST (a `net.Socket` has it, or another
 *   watcher: wait for a `dup` of it), ECANCELED (it was closed meanwhile)
 * @see poll(2)
 */
export async function readable(descriptor: DescriptorLike, options?: WaitOptions): Promise<void> {
  return ready(descriptor, READABLE, options)
}

/**
 * Waits until a send would not block, or a connection is decided; as {@link readable} otherwise. An unconnected
 * datagram socket is always writable, even when the receiver that a datagram is for is full.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF, EPERM, EEXIST, ECANCELED
 * @see poll(2)
 */
export async function writable(descriptor: DescriptorLike, options?: WaitOptions): Promise<void> {
  return ready(descriptor, WRITABLE, options)
}

/**
 * Waits for urgent data (out of band), as {@link readable} otherwise.
 * @throws {TypeError | RangeError} a wrong argument
 * @throws {SyscallError} EBADF, EPERM, EEXIST, ECANCELED
 * @see poll(2), POLLPRI; tcp(7)
 */
export async function urgent(descriptor: DescriptorLike, options?: WaitOptions): Promise<void> {
  return ready(descriptor, URGENT, options)
}

function ready(descriptor: DescriptorLike, events: number, options: WaitOptions = {}): Promise<void> {
  const fd = descriptorOf('descriptor', descriptor, 'uv_poll_init')
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`options: an object { signal }, not ${shown(options)}`)
  }
  const { signal } = options
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw new TypeError(`options.signal: an AbortSignal, not ${shown(signal)}`)
  }
  if (signal?.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const wait = waitFor(fd)
    const aborted = (): void => waiter.settle(signal?.reason)
    const waiter: Waiter = {
      events,
      settle(error) {
        signal?.removeEventListener('abort', aborted)
        wait.waiters.delete(waiter)
        update(fd, wait)
        if (error === undefined) resolve()
        else reject(error)
      },
    }
    wait.waiters.add(waiter)
    signal?.addEventListener('abort', aborted)
    try {
      update(fd, wait)
    } catch (error) {
      waiter.settle(error)
    }
  })
}

function waitFor(fd: number): Wait {
  const known = waits.get(fd)
  if (known !== undefined) return known
  const waiters = new Set<Waiter>()
  const ready = (events: number): void => {
    for (const waiter of [...waiters]) if ((waiter.events & events) !== 0) waiter.settle()
  }
  const watcher = new Watcher(fd, ready, 'keep')
  const wait = { watcher, waiters }
  waits.set(fd, wait)
  return wait
}

/** Watches for what somebody waits for; where nobody does, the watcher goes. */
function update(fd: number, { watcher, waiters }: Wait): void {
  let events = 0
  for (const waiter of waiters) events |= waiter.events
  if (events !== 0) return watcher.watch(events)
  watcher.close()
  waits.delete(fd)
}

/** A descriptor is about to be closed: nothing will be heard of it, and its number may soon be another's. */
export function forget(fd: number): void {
  const wait = waits.get(fd)
  if (wait === undefined) return
  const error = new SyscallError(errnoOf('ECANCELED'), 'poll')
  for (const waiter of [...wait.waiters]) waiter.settle(error)
}
