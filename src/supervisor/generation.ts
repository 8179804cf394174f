import type { Place } from './places.js'
import { Slot, type SlotOwner } from './slot.js'

/** The workers that run one version of the application. */
export class Generation {
  /** From 1. */
  readonly number: number
  readonly places: readonly Place[]
  /** One for each place. */
  readonly slots: Slot[]
  /** Successors that get ready, and those that drain whose place another has taken. @see Replacements */
  readonly others = new Set<Slot>()

  constructor(number: number, places: readonly Place[], owner: SlotOwner) {
    this.number = number
    this.places = places
    this.slots = places.map((place) => new Slot(place, number, owner))
  }

  start(): void {
    for (const slot of this.slots) slot.start()
  }

  /** Lets all workers finish what they have; settles when they are gone. @see Slot.stop */
  async stop(milliseconds: number, successor = false): Promise<void> {
    await Promise.all([...this.slots, ...this.others].map((slot) => slot.stop(milliseconds, successor)))
  }
}
