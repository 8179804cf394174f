import { eventsOf, type SeenWorker, seen, type Watched } from './seen.js'

export const RELOAD_RESULTS = ['done', 'failed', 'rolled back'] as const
export type ReloadResult = (typeof RELOAD_RESULTS)[number]

/** What is heard of events. */
interface Told {
  worker: number
  generation: number
  /** Of a worker that ended: when another takes its place; null: none does. */
  restartIn: number | null
}

/**
 * Numbers that only grow, though workers and generations come and go.
 *
 * Invariant: what a place's workers ever claimed is what the dead ones had at their end, plus what the live ones have.
 */
export class Totals {
  readonly restarts = new Map<number, number>()
  readonly reloads = new Map<ReloadResult, number>(RELOAD_RESULTS.map((result) => [result, 0]))
  readonly #supervisor: Watched
  /** The last that was seen of every worker, by who it is. */
  readonly #alive = new Map<string, { place: number; total: number }>()
  readonly #dead = new Map<number, number>()
  /** Generations that were started and have not switched yet. */
  readonly #pending = new Set<number>()
  /** The last generation of which a worker was started. */
  #begun = 1
  readonly #listeners: [name: string, listener: (event: Told) => void][] = [
    ['started', ({ generation }) => this.#started(generation)],
    ['ended', (event) => this.#ended(event)],
    ['reloading', ({ generation }) => this.#pending.add(generation)],
    ['switched', ({ generation }) => this.#pending.delete(generation)],
    ['reloaded', () => this.#count('done')],
    ['rolledBack', (event) => this.#rolledBack(event)],
  ]

  /** Borrows the supervisor. Everything before this is not counted, but for what its workers say themselves. */
  constructor(supervisor: Watched) {
    this.#supervisor = supervisor
    for (const [name, listener] of this.#listeners) eventsOf(supervisor).on(name, listener)
  }

  close(): void {
    for (const [name, listener] of this.#listeners) eventsOf(this.#supervisor).off(name, listener)
  }

  /** A generation gets ready. */
  isReloading(workers: readonly SeenWorker[] = seen(this.#supervisor).workers): boolean {
    this.#forgetFailed(workers)
    return this.#pending.size > 0
  }

  /** Connections ever claimed, by place. */
  claimed(workers: readonly SeenWorker[]): Map<number, number> {
    this.#look(workers)
    const sums = new Map(this.#dead)
    for (const { place, total } of this.#alive.values()) sums.set(place, (sums.get(place) ?? 0) + total)
    return sums
  }

  #look(workers: readonly SeenWorker[]): void {
    const now = new Set<string>()
    for (const { worker: place, generation, restarts, pid, total } of workers) {
      const who = `${generation} ${place} ${restarts} ${pid}`
      now.add(who)
      const before = this.#alive.get(who)
      if (before === undefined) this.#alive.set(who, { place, total })
      else before.total = Math.max(before.total, total)
    }
    for (const [who, { place, total }] of this.#alive) {
      if (now.has(who)) continue
      this.#alive.delete(who)
      this.#dead.set(place, (this.#dead.get(place) ?? 0) + total)
    }
  }

  #ended({ worker, restartIn }: Told): void {
    this.#look(seen(this.#supervisor).workers) // it is still among them, for the last time
    if (restartIn !== null) this.restarts.set(worker, (this.restarts.get(worker) ?? 0) + 1)
  }

  #started(generation: number): void {
    this.#begun = Math.max(this.#begun, generation)
  }

  #rolledBack({ generation }: Told): void {
    this.#pending.delete(generation)
    this.#count('rolled back')
  }

  /** One that has no worker left before it switched did not get ready. */
  #forgetFailed(workers: readonly SeenWorker[]): void {
    for (const generation of this.#pending) {
      if (generation > this.#begun || workers.some((worker) => worker.generation === generation)) continue
      this.#pending.delete(generation)
      this.#count('failed')
    }
  }

  #count(result: ReloadResult): void {
    this.reloads.set(result, (this.reloads.get(result) ?? 0) + 1)
  }
}
