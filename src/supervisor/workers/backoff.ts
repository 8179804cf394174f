import { RESTART_FIRST, RESTART_FORGIVEN_AFTER, RESTART_LAST } from '../../limits.js'

/** How long to wait before a worker is started again: doubled at every early death, forgotten after a longer life. */
export class Backoff {
  /** Milliseconds to wait after the next early death. */
  next = RESTART_FIRST

  /** @param lived  milliseconds the worker was there. @returns milliseconds to wait */
  after(lived: number): number {
    if (lived >= RESTART_FORGIVEN_AFTER) this.next = RESTART_FIRST
    const wait = this.next
    this.next = Math.min(wait * 2, RESTART_LAST)
    return wait
  }
}
