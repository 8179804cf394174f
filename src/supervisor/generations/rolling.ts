import type { SyscallError } from '../../errors.js'
import type { Slot } from '../workers/slot.js'
import type { WorkerEnd } from '../workers/worker.js'
import type { Change } from './all-at-once.js'
import type { Generation } from './generation.js'
import type { SettledReadiness } from './generation-options.js'
import { HealthWindow } from './health-window.js'
import type { Place } from './places.js'
import { endOf, Preparation } from './preparation.js'
import { Failure, type Stage, type Watch } from './stage.js'

/**
 * Replaces workers one by one: the next one starts when the one before has taken its place and that place's old worker is
 * gone, so that there is one worker more at a time. If one fails, the places that were replaced get the old program
 * again, one by one too, and the others never notice.
 */
export class Rolling implements Watch {
  readonly #stage: Stage
  readonly #change: Change
  /** Numbers of places, in order. Their workers may have been replaced since. */
  readonly #replaced: number[] = []
  /** What is waited for at the moment; null: that an old worker is gone. */
  #phase: Watch | null = null
  #failure: Error | null = null
  /** An old worker stood by and took over again. */
  #tookOver = false
  #goesBack = false

  constructor(stage: Stage, change: Change) {
    this.#stage = stage
    this.#change = change
  }

  /** @throws {Failure} a new worker fails; the reason that it was failed with */
  async run(): Promise<void> {
    const { previous, next, reload, makeCurrent } = this.#change
    next.enter('starting')
    this.#stage.watch = this
    try {
      this.#stage.tell('reloading', { generation: next.number })
      for (const place of next.places) await this.#replace(place)
      next.enter('serving')
      makeCurrent(next)
      this.#stage.tell('switched', { generation: next.number, previous: previous.number })
    } catch (reason) {
      await this.#rollBack(reason as Error)
    }
    this.#stage.watch = null
    // Places that there are no more of.
    await this.#stage.end(previous, reload.drainTimeout, true)
    if (reload.healthWindow > 0) this.#stage.tell('healthy', { generation: next.number })
  }

  step(): void {
    this.#phase?.step()
  }

  /** A new worker that took its place already counts, too. */
  ended(slot: Slot, end: WorkerEnd, refusal: SyscallError | undefined): void {
    this.#phase?.ended(slot, end, refusal)
    const { next } = this.#change
    const served = slot.generation === next.number && this.#replaced.includes(slot.number)
    if (this.#goesBack || !served || !this.#stage.roles.isKept(slot)) return
    this.fail(new Failure(`generation ${next.number}: ${endOf(slot, end)} before all places were replaced`, [slot]))
  }

  fail(reason: Error): void {
    if (this.#goesBack) return // to be done whatever comes
    this.#failure ??= reason
    this.#phase?.fail(reason)
  }

  cancel(reason: Error): void {
    this.#failure ??= reason
    this.#phase?.cancel(reason)
  }

  async #replace(place: Place): Promise<void> {
    this.#check()
    const { previous, next, reload } = this.#change
    const fresh = next.add(place)
    try {
      await this.#swap(next, previous, fresh, reload.readiness, reload.healthWindow)
    } catch (reason) {
      if (this.#stage.stopped) throw reason // what it has is finished as all the rest
      await this.#stage.endSlot(next, fresh, this.#tookOver ? reload.drainTimeout : 0, this.#tookOver)
      throw reason
    }
    this.#replaced.push(place.number)
    if (this.#replaced.length === 1) next.enter('serving')
    const { length: done } = this.#replaced
    this.#stage.tell('rolled', { generation: next.number, worker: place.number, done, of: next.places.length })
    const old = this.#at(previous, place.number)
    if (old !== undefined) await this.#stage.endSlot(previous, old, reload.drainTimeout, true)
  }

  /** Who has a place of a generation now: its worker may have been replaced meanwhile. */
  #at(generation: Generation, place: number): Slot | undefined {
    return this.#stage.kept(generation).find(({ number }) => number === place)
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure
  }

  /** Starts a worker, and lets it take the place of the one of `before` once it is ready, and stays healthy. */
  async #swap(
    generation: Generation,
    before: Generation,
    fresh: Slot,
    readiness: SettledReadiness | null,
    healthWindow: number,
  ): Promise<void> {
    const { roles } = this.#stage
    const { milliseconds } = this.#change.reload
    let window: Promise<void> = Promise.resolve()
    const previous = (): Slot[] => [this.#at(before, fresh.number) ?? []].flat()
    const candidates = { generation, slots: [fresh], previous, readiness, milliseconds }
    const preparation = new Preparation(this.#stage, candidates, () => {
      const old = this.#at(before, fresh.number)
      this.#stage.acceptWaiting(preparation.missing, old === undefined ? [] : [old])
      if (old !== undefined) roles.standBy(old)
      roles.serve(fresh)
      this.#phase = null
      if (readiness === null || healthWindow === 0) return
      const health = new HealthWindow(
        this.#stage,
        { generation, slots: () => this.#stage.kept(generation), readiness, milliseconds: healthWindow },
        {
          over: () => {},
          back: () => {
            this.#tookOver = true
            roles.leave(fresh)
            if (old !== undefined) roles.serve(old)
          },
        },
      )
      this.#phase = health
      window = health.settled
    })
    this.#phase = preparation
    roles.prepare(fresh)
    fresh.start()
    try {
      await preparation.settled
      await window
    } finally {
      this.#phase = null
    }
  }

  /** Gives the old program its places back. @throws {Error} always: the reason */
  async #rollBack(reason: Error): Promise<never> {
    const { previous, next, reload } = this.#change
    const undone = this.#tookOver || this.#replaced.length > 0
    this.#goesBack = true
    for (const number of this.#replaced.reverse()) {
      if (this.#stage.stopped) break
      const place = previous.places.find((one) => one.number === number)
      if (place !== undefined) await this.#putBack(place)
      const fresh = this.#at(next, number)
      if (fresh !== undefined) await this.#stage.endSlot(next, fresh, reload.drainTimeout, true)
    }
    this.#stage.watch = null
    if (!this.#stage.stopped) await this.#stage.end(next, 0)
    const { number: generation } = next
    const error = await this.#stage.error(reason, undone ? 'ERR_HANDOVER_ROLLED_BACK' : 'ERR_HANDOVER_WORKERS_FAILED')
    if (this.#stage.stopped) throw error
    if (undone) this.#stage.tell('rolledBack', { generation, to: previous.number, reason: reason.message })
    else this.#stage.tell('notReloaded', { generation, error })
    throw error
  }

  /** What served well before does not get ready now: it is given the place, and started until it is. */
  async #putBack(place: Place): Promise<void> {
    const { previous, next } = this.#change
    const old = previous.add(place)
    try {
      await this.#swap(previous, next, old, null, 0)
    } catch {
      if (this.#stage.stopped) return
      this.#stage.roles.serve(old)
      if (old.state === 'stopped') old.start()
    }
  }
}
