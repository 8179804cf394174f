import { performance } from 'node:perf_hooks'
import { Backoff } from './backoff.js'
import type { Gate } from './gate.js'

/** What a successor must know of restarts at a place. JSON. */
export interface RestartRecord {
  readonly restarts: number
  /** Milliseconds to wait after the next early death. */
  readonly backoff: number
  /** Milliseconds until another worker is started; null: none is to be. */
  readonly restartIn: number | null
}

/** The restarts at a place: how many there were, and when the next one is. */
export class Restarts {
  count = 0
  readonly #gate: Gate
  readonly #backoff = new Backoff()
  readonly #start: () => void
  #timer: NodeJS.Timeout | null = null
  #at = 0

  constructor(gate: Gate, start: () => void) {
    this.#gate = gate
    this.#start = start
  }

  get record(): RestartRecord {
    const restartIn = this.#timer === null ? null : Math.max(0, this.#at - performance.now())
    return { restarts: this.count, backoff: this.#backoff.next, restartIn }
  }

  /** What is told of them. */
  get status(): Pick<RestartRecord, 'restarts' | 'restartIn'> {
    const { restarts, restartIn } = this.record
    return { restarts, restartIn: restartIn === null ? null : Math.round(restartIn) }
  }

  /** Goes on where another supervisor stopped. */
  resume({ restarts, backoff, restartIn }: RestartRecord): void {
    this.count = restarts
    this.#backoff.next = backoff
    if (restartIn !== null) this.in(restartIn)
  }

  /** @param lived  milliseconds the worker was there. @returns milliseconds to wait */
  waitAfter(lived: number): number {
    return this.#backoff.after(lived)
  }

  /** Starts another after so many milliseconds, when the gate is open. */
  in(milliseconds: number): void {
    this.#at = performance.now() + milliseconds
    this.#timer = setTimeout(() => {
      this.#gate.pass(() => {
        if (this.#timer === null) return // called off meanwhile
        this.#timer = null
        this.count += 1
        this.#start()
      })
    }, milliseconds)
  }

  callOff(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}
