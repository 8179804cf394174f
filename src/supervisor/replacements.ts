import { HandoverError, type SyscallError } from '../errors.js'
import { guarded } from '../guarded.js'
import { SUCCESSOR_READY } from '../limits.js'
import type { ReplacedEvent } from './events.js'
import { Generation } from './generation.js'
import type { PortRegistry } from './port-registry.js'
import { Preparation } from './preparation.js'
import type { Slot, SlotOwner } from './slot.js'
import type { WorkerEnd } from './worker.js'

/** A worker that takes the place of another. */
export interface Replacement {
  /** Settles when it has taken over; rejects if it does not get ready: the one before serves on. */
  readonly tookOver: Promise<void>
  /** Settles when the one before is gone, too; rejects as `tookOver`. */
  readonly done: Promise<void>
}

interface Open extends Replacement {
  readonly generation: Generation
  readonly successor: Slot
  readonly next: Preparation
}

/**
 * Replaces single workers: a successor is started at the same place, and when it listens it takes over, from one turn to the
 * next; then the one before drains.
 *
 * Invariants: one worker of a place is attached to the ports; a successor that does not get ready leaves no trace.
 */
export class Replacements {
  readonly #owner: SlotOwner
  readonly #ports: PortRegistry
  readonly #tell: (event: ReplacedEvent) => void
  /** By the place's present slot. */
  readonly #open = new Map<Slot, Open>()

  constructor(owner: SlotOwner, ports: PortRegistry, tell: (event: ReplacedEvent) => void) {
    this.#owner = owner
    this.#ports = ports
    this.#tell = tell
  }

  /** Replaces a worker; one that is being replaced already is not twice. */
  replace(generation: Generation, old: Slot, drainTimeout: number): Replacement {
    return this.#open.get(old) ?? this.#start(generation, old, drainTimeout)
  }

  #start(generation: Generation, old: Slot, drainTimeout: number): Replacement {
    const place = generation.places.find(({ number }) => number === old.number)
    if (place === undefined) throw new RangeError(`worker: there is no place ${old.number}`)
    const heir = new Generation(generation.number, [place], this.#owner)
    const successor = heir.slots[0] as Slot
    const { number: worker, generation: number, pid: previous } = old
    let gone = Promise.resolve()
    const next = new Preparation(heir, { slots: [old] }, this.#ports, SUCCESSOR_READY, () => {
      gone = this.#switch(generation, old, successor, next.missing, drainTimeout)
    })
    const tookOver = next.settled.then(
      () => guarded(() => this.#tell({ worker, pid: successor.pid, generation: number, previous })),
      async (error: Error) => {
        await this.#leave(generation, successor, 0)
        throw error
      },
    )
    const done = tookOver.then(() => gone)
    tookOver.finally(() => this.#open.delete(old)).catch(() => {})
    done.catch(() => {}) // whoever asked hears of it
    const open = { generation, successor, next, tookOver, done }
    this.#open.set(old, open)
    generation.others.add(successor)
    successor.start()
    return open
  }

  /** From one turn to the next: new connections find the successor, then the one before is told to drain. */
  #switch(generation: Generation, old: Slot, successor: Slot, missing: number[], drainTimeout: number): Promise<void> {
    const at = generation.slots.indexOf(old)
    if (at < 0) return this.#leave(generation, successor, 0) // the place is no more
    for (const id of missing) this.#ports.acceptWaiting(id)
    if (old.target !== null) this.#ports.detach(old.target)
    old.retire()
    generation.slots[at] = successor
    generation.others.delete(successor)
    generation.others.add(old)
    if (successor.target !== null) this.#ports.attach(successor.target, this.#ports.portsOf([successor]))
    return this.#leave(generation, old, drainTimeout, true)
  }

  async #leave(generation: Generation, slot: Slot, milliseconds: number, successor = false): Promise<void> {
    await slot.stop(milliseconds, successor)
    this.#ports.forget(slot)
    generation.others.delete(slot)
  }

  /** Whether it is a successor that gets ready. */
  prepares(slot: Slot): boolean {
    for (const { successor } of this.#open.values()) if (successor === slot) return true
    return false
  }

  /** A worker listens on a port more, or less. */
  step(): void {
    for (const { next } of [...this.#open.values()]) next.step()
  }

  /** A successor is gone. @param refusal  why it got no port */
  ended(slot: Slot, end: WorkerEnd, refusal: SyscallError | undefined): void {
    for (const { successor, next } of [...this.#open.values()]) if (successor === slot) next.ended(slot, end, refusal)
  }

  /** Workers of this generation are not replaced any more. */
  abandon(generation: Generation, why: string): void {
    for (const open of [...this.#open.values()]) {
      if (open.generation === generation) open.next.fail(new HandoverError('ERR_HANDOVER_WORKERS_FAILED', why))
    }
  }
}
