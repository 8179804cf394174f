import { STALL_AFTER } from '../limits.js'
import type { WorkerStatus } from './slot.js'

type Tell = (name: 'stalled' | 'recovered', event: { worker: number; unclaimed: number }) => void

/** Tells of workers that stopped claiming, or claim again: nothing else would say so. */
export class StallWatch {
  readonly #workers: () => readonly WorkerStatus[]
  readonly #tell: Tell
  /** By generation and place. */
  readonly #stalled = new Set<string>()
  #timer: NodeJS.Timeout | null = null

  constructor(workers: () => readonly WorkerStatus[], tell: Tell) {
    this.#workers = workers
    this.#tell = tell
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), STALL_AFTER).unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  #look(): void {
    for (const { worker, generation, stalled, unclaimed } of this.#workers()) {
      const which = `${generation}.${worker}`
      if (stalled === this.#stalled.has(which)) continue
      if (stalled) this.#stalled.add(which)
      else this.#stalled.delete(which)
      this.#tell(stalled ? 'stalled' : 'recovered', { worker, unclaimed })
    }
  }
}
