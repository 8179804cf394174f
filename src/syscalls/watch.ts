import { SyscallError } from '../errors.js'
import { constant, kernel, type NativeWatcher } from './kernel.js'
import { checked } from './result.js'

export const READABLE = constant('UV_READABLE')
export const WRITABLE = constant('UV_WRITABLE')

/**
 * Watches one descriptor for readiness in this thread's event loop, level-triggered. Borrows the descriptor: close the
 * watcher before it; what is watched when the thread ends is closed with it. One active watcher a descriptor, and none
 * on what a `net.Socket` owns.
 * @see uv_poll_t of libuv
 */
export class Watcher {
  readonly #native: NativeWatcher
  #events = 0
  #referenced = true
  #closed = false

  /**
   * @param ready  called with the events that hold; on a socket error with all watched events, as the error
   *               itself is met by the next call on the descriptor
   */
  constructor(descriptor: number, ready: (events: number) => void) {
    const answer = (status: number, events: number): void => {
      if (status >= 0) return ready(events)
      const watched = this.#events
      this.#events = 0
      ready(watched)
    }
    const native = kernel.watchOpen(descriptor, answer)
    if (typeof native === 'number') throw new SyscallError(native, 'uv_poll_init')
    this.#native = native
  }

  /** Watches for exactly these events from now on; 0 watches nothing. Cheap when nothing changes. */
  watch(events: number): void {
    if (this.#closed || events === this.#events) return
    this.#events = events
    checked(kernel.watchUpdate(this.#native, events), 'uv_poll_start')
  }

  /** Whether it keeps the process alive while it watches. It does at first. */
  set referenced(referenced: boolean) {
    if (this.#closed || referenced === this.#referenced) return
    this.#referenced = referenced
    checked(kernel.watchRef(this.#native, referenced ? 1 : 0), 'uv_ref')
  }

  /** Stops for good; the descriptor stays open. Closing twice does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    checked(kernel.watchClose(this.#native), 'uv_close')
  }
}
