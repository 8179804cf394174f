import { realpathSync } from 'node:fs'
import { Slot, type SlotOwner } from '../workers/slot.js'
import type { SettledReadiness } from './generation-options.js'
import { type Place, programOf } from './places.js'

export type GenerationState = 'starting' | 'serving' | 'standby' | 'draining'

export interface GenerationStatus {
  /** From 1. */
  number: number
  /** 'standby': its successor serves and may still fail; it takes over again then. */
  state: GenerationState
  /** Since when, in milliseconds since the epoch. */
  since: number
  /** When that ends at the latest: it is ready or has failed, drains, or is cut. Null: never by itself. */
  deadline: number | null
  /** How many workers it has at the moment. */
  workers: number
}

/** Where a generation stands. JSON. */
export interface Standing extends Pick<GenerationStatus, 'state' | 'since' | 'deadline'> {
  /** What paths led to when it was made. */
  readonly real: readonly (readonly [path: string, to: string])[]
}

/**
 * The workers that run one version of the application.
 *
 * Invariant: all of them, restarted ones too, run what the paths of script and folder led to when the generation was made.
 */
export class Generation {
  /** From 1. */
  readonly number: number
  readonly readiness: SettledReadiness
  /** As they were asked for: the next generation resolves their paths anew. */
  places: readonly Place[]
  readonly #owner: SlotOwner
  /** What paths led to. */
  readonly #real = new Map<string, string>()
  #slots: readonly Slot[] = []
  #state: GenerationState = 'starting'
  #since = Date.now()
  #deadline: number | null = null

  constructor(number: number, places: readonly Place[], readiness: SettledReadiness, owner: SlotOwner) {
    this.number = number
    this.places = places
    this.readiness = readiness
    this.#owner = owner
    for (const place of places) this.#pinned(place)
  }

  get state(): GenerationState {
    return this.#state
  }

  /** Those that leave too, until they are gone; in order of their numbers. */
  get slots(): readonly Slot[] {
    return this.#slots
  }

  /** Makes a slot for a place. */
  add(place: Place): Slot {
    const slot = new Slot(this.#pinned(place), this.number, this.#owner)
    this.#slots = [...this.#slots, slot].sort((one, other) => one.number - other.number)
    return slot
  }

  remove(slot: Slot): void {
    this.#slots = this.#slots.filter((other) => other !== slot)
  }

  /** What a successor goes on with, besides its places. */
  get record(): Standing {
    return { state: this.#state, since: this.#since, deadline: this.#deadline, real: [...this.#real] }
  }

  /** Goes on where another supervisor stopped; before places are added, so that they lead where they led. */
  resume({ state, since, deadline, real }: Standing): void {
    this.#state = state
    this.#since = since
    this.#deadline = deadline
    for (const [path, to] of real) this.#real.set(path, to)
  }

  /** @param milliseconds  until this state ends at the latest */
  enter(state: GenerationState, milliseconds?: number): void {
    const now = Date.now()
    if (state !== this.#state) this.#since = now
    this.#state = state
    this.#deadline = milliseconds === undefined ? null : now + milliseconds
  }

  /** Lets all workers finish what they have; settles when they are gone. @see Slot.stop */
  async stop(milliseconds: number, successor = false): Promise<void> {
    this.enter('draining', milliseconds)
    await Promise.all(this.#slots.map((slot) => slot.stop(milliseconds, successor)))
  }

  status(): GenerationStatus {
    const workers = this.#slots.filter(({ target }) => target !== null).length
    return { number: this.number, state: this.#state, since: this.#since, deadline: this.#deadline, workers }
  }

  #pinned(place: Place): Place {
    const { own } = place
    const { script } = programOf(place)
    return {
      ...place,
      program: { ...place.program, cwd: this.#resolve(place.program.cwd) },
      own: { ...own, script: this.#resolve(script) },
    }
  }

  /** What is not there is left for the start to complain of. */
  #resolve(path: string): string {
    const known = this.#real.get(path)
    if (known !== undefined) return known
    let real = path
    try {
      real = realpathSync(path)
    } catch {}
    this.#real.set(path, real)
    return real
  }
}
