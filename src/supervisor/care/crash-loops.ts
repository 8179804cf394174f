import { performance } from 'node:perf_hooks'
import { HandoverError } from '../../errors.js'
import type { CrashLoopEvent } from '../events.js'
import type { Slot } from '../workers/slot.js'

/** Who acts on verdicts. */
export interface CrashLoopOwner {
  /** The places that serve now. */
  serving(): readonly Slot[]
  /** Whether others are about to take their places. */
  preparing(): boolean
  /** What the workers of a place wrote last. */
  lastLines(slot: Slot): readonly string[]
  tell(event: CrashLoopEvent): void
  /** There is nobody left. */
  failed(error: Error): void
}

/** Gives up places whose workers die again and again. */
export class CrashLoops {
  readonly #deaths: number
  readonly #within: number
  readonly #owner: CrashLoopOwner
  readonly #times = new WeakMap<Slot, number[]>()

  constructor({ deaths, within }: { deaths: number; within: number }, owner: CrashLoopOwner) {
    this.#deaths = deaths
    this.#within = within
    this.#owner = owner
  }

  /** A worker died that nobody asked to. @returns whether its place is given up */
  died(slot: Slot): boolean {
    const now = performance.now()
    const times = [...(this.#times.get(slot) ?? []), now].filter((time) => now - time < this.#within)
    this.#times.set(slot, times)
    if (times.length < this.#deaths) return false
    slot.fail()
    return true
  }

  /** Tells of a place that was given up, and of the end where it was the last one. */
  tell(slot: Slot): void {
    const lines = this.#owner.lastLines(slot)
    this.#owner.tell({
      worker: slot.number,
      generation: slot.generation,
      deaths: this.#deaths,
      within: this.#within,
      ...(lines.length === 0 ? {} : { lastOutput: lines.join('\n') }),
    })
    this.check()
  }

  /** Where every place is given up, and no other generation is about to take over, nothing is left to supervise. */
  check(): void {
    const serving = this.#owner.serving()
    if (serving.length === 0 || this.#owner.preparing() || serving.some(({ state }) => state !== 'failed')) return
    const what = `every worker died ${this.#deaths} times within ${this.#within / 1000} s`
    this.#owner.failed(new HandoverError('ERR_HANDOVER_WORKERS_FAILED', what))
  }
}
