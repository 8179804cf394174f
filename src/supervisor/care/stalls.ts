import { STALL_AFTER } from '../../limits.js'
import type { WorkerStatus } from '../workers/slot.js'

type Tell = (name: 'stalled' | 'recovered', event: { worker: number; unclaimed: number }) => void

/** Tells of workers that stopped claiming, or claim again: nothing else would say so. */
export class StallWatch {
  readonly #workers: () => readonly WorkerStatus[]
  readonly #tell: Tell
  /** By place and start: there may be two workers of a place. */
  readonly #stalled = new Set<string>()
  #timer: NodeJS.Timeout | null = null

  constructor(workers: () => readonly WorkerStatus[], tell: Tell) {
    this.#workers = workers
    this.#tell = tell
  }

  start(): void {
    this.#timer = setInterval(() => setImmediate(() => this.#look()), STALL_AFTER).unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  /** Claims that are here have been heard. */
  #look(): void {
    if (this.#timer === null) return
    const there = new Set<string>()
    for (const { worker, generation, pid, since, stalled, unclaimed } of this.#workers()) {
      const which = [generation, worker, pid, since].join('.')
      there.add(which)
      if (stalled === this.#stalled.has(which)) continue
      if (stalled) this.#stalled.add(which)
      else this.#stalled.delete(which)
      this.#tell(stalled ? 'stalled' : 'recovered', { worker, unclaimed })
    }
    for (const which of this.#stalled) if (!there.has(which)) this.#stalled.delete(which)
  }
}
