import { performance } from 'node:perf_hooks'

/**
 * A clock that counts only time in which this process's own event loop ran, so that nobody else is judged by the time in
 * which this process, or the whole machine, stood still. What came meanwhile has to be heard before others are judged, too:
 * timers run before sockets are read, `setImmediate` behind them.
 */
export class AwakeClock {
  readonly #most: number
  #time = 0
  #looked = performance.now()

  /** @param most  milliseconds: of a longer time between two looks only so many count */
  constructor(most: number) {
    this.#most = most
  }

  /** Milliseconds that had passed at the last look. */
  get time(): number {
    return this.#time
  }

  /** To be called again and again. @returns whether the event loop ran all the time since the last look */
  look(): boolean {
    const now = performance.now()
    const passed = now - this.#looked
    this.#looked = now
    this.#time += Math.min(passed, this.#most)
    return passed <= this.#most
  }

  /** Leaves out what has passed since the last look. */
  skip(): void {
    this.#looked = performance.now()
  }
}
