import { HandoverError, type SyscallError } from '../../errors.js'
import { guarded } from '../../guarded.js'
import { SUCCESSOR_READY } from '../../limits.js'
import type { Generation } from '../generations/generation.js'
import { Preparation } from '../generations/preparation.js'
import type { Stage } from '../generations/stage.js'
import type { Slot } from '../workers/slot.js'
import type { WorkerEnd } from '../workers/worker.js'

/** A worker that takes the place of another. */
export interface Replacement {
  /** Settles when it has taken over; rejects if it does not get ready: the one before serves on. */
  readonly tookOver: Promise<void>
  /** Settles when the one before is gone, too; rejects as `tookOver`. */
  readonly done: Promise<void>
}

interface Open extends Replacement {
  readonly next: Preparation
}

/**
 * Replaces single workers: a successor is started at the same place, and when it is ready it takes over, from one turn to
 * the next; then the one before drains.
 *
 * Invariants: one worker of a place is attached to the ports; a successor that does not get ready leaves no trace.
 */
export class Replacements {
  readonly #stage: Stage
  /** By who serves now. */
  readonly #open = new Map<Slot, Open>()

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** How many are under way. */
  get count(): number {
    return this.#open.size
  }

  /** Replaces a worker; one that is being replaced already is not twice. */
  replace(generation: Generation, old: Slot, drainTimeout: number): Replacement {
    return this.#open.get(old) ?? this.#start(generation, old, drainTimeout)
  }

  #start(generation: Generation, old: Slot, drainTimeout: number): Replacement {
    const stage = this.#stage
    const place = generation.places.find(({ number }) => number === old.number)
    if (place === undefined) throw new RangeError(`worker: there is no place ${old.number}`)
    const successor = generation.add(place)
    const { number: worker, generation: number } = old
    let { pid: previous } = old
    let gone: Promise<void> | null = null
    const { readiness } = generation
    const candidates = {
      generation,
      slots: [successor],
      previous: () => [old],
      readiness,
      milliseconds: SUCCESSOR_READY,
    }
    const next = new Preparation(stage, candidates, () => {
      previous = old.pid // it may have died meanwhile, and another be there
      if (stage.roles.serves(old)) gone = this.#switch(generation, old, successor, next.missing, drainTimeout)
    })
    const tookOver = next.settled
      .then(() => {
        if (gone === null) throw new HandoverError('ERR_HANDOVER_WORKERS_FAILED', 'its place is no more, or another’s')
        guarded(() => stage.tell('replaced', { worker, pid: successor.pid, generation: number, previous }))
      })
      .catch(async (reason: Error) => {
        await stage.endSlot(generation, successor, 0)
        throw await stage.error(reason, 'ERR_HANDOVER_WORKERS_FAILED')
      })
    const done = tookOver.then(() => gone ?? undefined)
    tookOver.finally(() => this.#open.delete(old)).catch(() => {})
    done.catch(() => {}) // whoever asked hears of it
    const open = { next, tookOver, done }
    this.#open.set(old, open)
    stage.roles.prepare(successor)
    successor.start()
    return open
  }

  /** From one turn to the next: new connections find the successor, then the one before is told to drain. */
  #switch(
    generation: Generation,
    old: Slot,
    successor: Slot,
    missing: readonly number[],
    drainTimeout: number,
  ): Promise<void> {
    const { roles } = this.#stage
    this.#stage.acceptWaiting(missing, [old])
    const gone = this.#stage.endSlot(generation, old, drainTimeout, true)
    roles.serve(successor)
    return gone
  }

  /** A worker listens on a port more, or less. */
  step(): void {
    for (const { next } of [...this.#open.values()]) next.step()
  }

  /** A worker is gone. @param refusal  why it got no port */
  ended(slot: Slot, end: WorkerEnd, refusal: SyscallError | undefined): void {
    for (const { next } of [...this.#open.values()]) next.ended(slot, end, refusal)
  }

  /** Those that are not ready yet take nobody's place any more. @param all  else those whose place is served by others now */
  abandon(reason: Error, all: boolean): void {
    for (const [old, { next }] of [...this.#open]) if (all || !this.#stage.roles.serves(old)) next.fail(reason)
  }
}
