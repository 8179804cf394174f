import { performance } from 'node:perf_hooks'
import { CLAIM_LATENCY_WINDOW } from '../../limits.js'

/** How long a worker takes until it claims what it is given, of late: milliseconds, as the master sees it. */
export interface ClaimLatency {
  /** Of the last that was measured. */
  last: number
  mean: number
  /** The longest; what is awaited counts as long as it has taken. */
  max: number
}

/** What was measured in one window. */
interface Window {
  count: number
  sum: number
  max: number
}

const empty = (): Window => ({ count: 0, sum: 0, max: 0 })
const rounded = (milliseconds: number): number => Math.round(milliseconds * 1000) / 1000

/**
 * Measures how long a target takes to claim, from when it was last sent something until all of that is claimed.
 *
 * One at a time: while a claim is awaited, nothing else is measured. So it costs two looks at the clock a claim, however
 * many connections it is for, and no memory.
 */
export class ClaimClock {
  /** How many had been taken when it was sent; 0: nothing is awaited. */
  #awaited = 0
  #since = 0
  #last = 0
  #turnsAt = 0
  #now = empty()
  #before = empty()

  /** What was taken so far is sent now. */
  sent(taken: number): void {
    if (this.#awaited !== 0) return
    this.#awaited = taken
    this.#since = performance.now()
  }

  /** So many of what was taken are claimed. */
  claimed(settled: number, now: number): void {
    if (this.#awaited === 0 || settled < this.#awaited) return
    this.#awaited = 0
    this.#turn(now)
    const took = now - this.#since
    this.#last = took
    this.#now.count += 1
    this.#now.sum += took
    if (took > this.#now.max) this.#now.max = took
  }

  /** Some came back, and were not claimed. */
  forget(): void {
    this.#awaited = 0
  }

  /** Null: nothing was measured of late. */
  status(now = performance.now()): ClaimLatency | null {
    this.#turn(now)
    const [a, b] = [this.#now, this.#before]
    const count = a.count + b.count
    if (count === 0) return null
    const awaits = this.#awaited === 0 ? 0 : now - this.#since
    const max = Math.max(a.max, b.max, awaits)
    return { last: rounded(this.#last), mean: rounded((a.sum + b.sum) / count), max: rounded(max) }
  }

  /** The window before counts, too: what is told is never of less than a whole one. */
  #turn(now: number): void {
    if (now < this.#turnsAt) return
    const next = this.#turnsAt + CLAIM_LATENCY_WINDOW
    this.#before = now < next ? this.#now : empty()
    this.#now = empty()
    this.#turnsAt = now < next ? next : now + CLAIM_LATENCY_WINDOW
  }
}
