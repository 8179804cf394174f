import { performance } from 'node:perf_hooks'
import { RATE_INTERVAL } from '../limits.js'
import type { WorkerStatus } from '../supervisor/workers/slot.js'

/** Connections taken over so far, by worker process, and when that was. */
interface Sample {
  time: number
  totals: Map<string, number>
}

const keyOf = ({ generation, worker, pid }: WorkerStatus): string => `${generation} ${worker} ${pid}`

/**
 * How many connections each worker gets a second: its counters are looked at once a second, and a rate is the difference
 * to the look before the last, so that one question is enough to know it.
 */
export class Rates {
  readonly #workers: () => readonly WorkerStatus[]
  readonly #timer: NodeJS.Timeout
  #before: Sample
  #last: Sample

  constructor(workers: () => readonly WorkerStatus[]) {
    this.#workers = workers
    this.#before = this.#last = this.#look()
    this.#timer = setInterval(() => this.sample(), RATE_INTERVAL)
    this.#timer.unref()
  }

  /** Looks once more; the timer does. */
  sample(): void {
    this.#before = this.#last
    this.#last = this.#look()
  }

  /** Connections a second of each of these workers, in their order. One that was not there before starts at zero. */
  of(workers: readonly WorkerStatus[]): number[] {
    const { time, totals } = this.#before
    const seconds = (performance.now() - time) / 1000
    return workers.map((worker) => {
      const more = worker.total - (totals.get(keyOf(worker)) ?? 0)
      return seconds > 0 ? Math.max(0, Math.round(more / seconds)) : 0
    })
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #look(): Sample {
    return {
      time: performance.now(),
      totals: new Map(this.#workers().map((worker) => [keyOf(worker), worker.total])),
    }
  }
}
