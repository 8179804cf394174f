import { SyscallError } from '../errors.js'
import { ACCEPT_RETRY } from '../limits.js'
import type { Lane } from './lane.js'

/** What is done when accept(2) finds no free descriptor (EMFILE, ENFILE). */
export class Exhaustion {
  readonly #lanes: ReadonlyMap<number, Lane>
  readonly #tell: (error: SyscallError) => void
  #toldAt = Number.NEGATIVE_INFINITY

  /** @param tell  hears of it, once in a while */
  constructor(lanes: ReadonlyMap<number, Lane>, tell: (error: SyscallError) => void) {
    this.#lanes = lanes
    this.#tell = tell
  }

  /**
   * Undecided connections make room, so that silent clients keep nobody out. Where there are none the port is not polled
   * until a while has passed: the condition would wake the loop again and again.
   * @param resume  polls the port again
   * @returns whether there may be room now
   */
  meet(lane: Lane, errno: number, resume: () => void): boolean {
    const shed = this.#shed(lane)
    if (shed)
      this.#shed(lane) // one for the next client, one for what it takes
    else {
      lane.pause()
      lane.retry ??= setTimeout(() => {
        lane.retry = null
        resume()
      }, ACCEPT_RETRY)
    }
    const now = performance.now()
    if (now - this.#toldAt >= ACCEPT_RETRY) {
      this.#toldAt = now
      this.#tell(new SyscallError(errno, 'accept4'))
    }
    return shed
  }

  /** Gives up the undecided connection that came first, of this port or of any. */
  #shed(lane: Lane): boolean {
    const all = [lane, ...this.#lanes.values()]
    return all.some(({ handshake }) => handshake?.shed('no descriptor was free') === true)
  }
}
