import { performance } from 'node:perf_hooks'
import { STOOD_STILL, STOOD_STILL_GRACE } from './limits.js'

/**
 * A clock that counts only time in which this process's own event loop ran, so that nobody else is judged by the time in
 * which this process, or the whole machine, stood still.
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

/**
 * Calls behind a time and behind what came in it: after a process stood still, Node runs timers that are over before it
 * reads sockets, so that a mere timer takes who spoke in time for late. Others may have stood still with it, as with their
 * machine: they get as long again, within bounds.
 * @param milliseconds  until then
 * @returns cancels it, at any moment before it is called
 */
export function whenHeard(milliseconds: number, call: () => void): () => void {
  const due = performance.now() + milliseconds
  let next: NodeJS.Immediate | null = null
  let timer: NodeJS.Timeout
  const wait = (time: number, then: () => void): void => {
    timer = setTimeout(() => {
      next = setImmediate(then)
    }, time)
  }
  wait(milliseconds, () => {
    const late = performance.now() - due
    if (late > STOOD_STILL) wait(Math.min(late, STOOD_STILL_GRACE), call)
    else call()
  })
  return () => {
    clearTimeout(timer)
    if (next !== null) clearImmediate(next)
  }
}
