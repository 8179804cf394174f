import { HandoverError, type SyscallError } from '../errors.js'
import type { SupervisorEvents } from './events.js'
import { Generation } from './generation.js'
import type { SettledReload } from './options.js'
import { checkScripts, type Place } from './places.js'
import type { PortRegistry } from './port-registry.js'
import { Preparation } from './preparation.js'
import type { Slot, SlotOwner } from './slot.js'
import type { WorkerEnd } from './worker.js'

type ReloadEvent = 'reloading' | 'switched' | 'reloaded'

/** Tells of a step of a reload. */
export type TellReload = <Name extends ReloadEvent>(name: Name, event: SupervisorEvents[Name][0]) => void

/** The generation that serves now, the one before it, and when the latter is gone. */
interface Switch {
  generation: number
  previous: number
  gone: Promise<void>
}

/**
 * The generations of workers: the one that serves, those before it that drain, and the next one that gets ready.
 *
 * Invariants: one generation is attached to the ports, the current one; it changes within one turn of the event loop, so
 * that every connection finds somebody; what fails to get ready was never attached.
 */
export class Generations {
  readonly #owner: SlotOwner
  readonly #ports: PortRegistry
  readonly #tell: TellReload
  /** All that have workers, oldest first. */
  readonly #all = new Set<Generation>()
  #current: Generation
  /** What the next generation is made of. */
  #base: readonly Place[]
  #next: Preparation | null = null
  /** The last number given away. One that failed keeps its own. */
  #last = 1
  /** Each reload waits until the one before it has switched or failed. */
  #turn: Promise<unknown> = Promise.resolve()
  #stopped = false

  constructor(places: readonly Place[], owner: SlotOwner, ports: PortRegistry, tell: TellReload) {
    this.#owner = owner
    this.#ports = ports
    this.#tell = tell
    this.#base = places
    this.#current = new Generation(1, places, owner)
    this.#all.add(this.#current)
  }

  /** Of all generations, the oldest first. */
  get slots(): Slot[] {
    return [...this.#all].flatMap(({ slots }) => slots)
  }

  get current(): Generation {
    return this.#current
  }

  /** All that have workers, the oldest first. */
  get all(): Generation[] {
    return [...this.#all]
  }

  /** The last number given away. */
  get last(): number {
    return this.#last
  }

  /** A reload is under way, and has not switched. */
  get isPreparing(): boolean {
    return this.#next !== null
  }

  /** Goes on with the generations of another supervisor; the next one is made of our own places. */
  resume(all: readonly Generation[], current: Generation, last: number): void {
    this.#all.clear()
    for (const generation of all) this.#all.add(generation)
    this.#current = current
    this.#last = last
  }

  /** Ends those before the current one in the time that they have left. */
  finish(left: (generation: Generation) => number): void {
    for (const generation of this.all) {
      if (generation === this.#current) continue
      const { number: previous } = generation
      const told = { generation: this.#current.number, previous }
      void this.#end(generation, left(generation), true).then(() => this.#tell('reloaded', told))
    }
  }

  /** Another supervisor goes on with all of them. */
  letGo(): void {
    this.#stopped = true
    for (const slot of this.slots) slot.letGo()
    this.#all.clear()
  }

  /** @throws {TypeError} a script is not there */
  check(): void {
    checkScripts(this.#current.places)
  }

  start(): void {
    this.#current.start()
  }

  /** Whether new connections are this place's too. */
  serves(slot: Slot): boolean {
    return slot.generation === this.#current.number
  }

  /** Whether it is of the generation that gets ready. */
  prepares(slot: Slot): boolean {
    return slot.generation === this.#next?.generation.number
  }

  /** A worker listens on a port more, or less. */
  step(): void {
    this.#next?.step()
  }

  /** A worker is gone. @param refusal  why it got no port */
  ended(slot: Slot, end: WorkerEnd, refusal: SyscallError | undefined): void {
    if (this.prepares(slot)) this.#next?.ended(slot, end, refusal)
  }

  /** Lets every worker of every generation finish; settles when all are gone. */
  async stop(milliseconds: number): Promise<void> {
    this.#stopped = true
    this.#next?.fail(stopped())
    await Promise.all([...this.#all].map((generation) => generation.stop(milliseconds)))
  }

  /**
   * Replaces the workers; settles when those before are gone.
   * @throws {HandoverError} ERR_HANDOVER_WORKERS_FAILED: the new ones do not serve, the old ones do as before;
   *   ERR_HANDOVER_STOPPED: `stop` came first. {TypeError} there is no such script
   */
  async reload(reload: SettledReload): Promise<{ generation: number }> {
    const mine = this.#turn.then(() => this.#replace(reload))
    this.#turn = mine.catch(() => {})
    const { generation, previous, gone } = await mine
    await gone
    this.#tell('reloaded', { generation, previous })
    return { generation }
  }

  async #replace({ change, milliseconds, drainTimeout }: SettledReload): Promise<Switch> {
    if (this.#stopped) throw stopped()
    const places = this.#base.map((place) => ({ ...place, program: { ...place.program, ...change } }))
    checkScripts(places)
    const previous = this.#current
    const generation = new Generation(++this.#last, places, this.#owner)
    let gone = Promise.resolve()
    const next = new Preparation(generation, previous, this.#ports, milliseconds, () => {
      gone = this.#switch(next, previous, drainTimeout)
    })
    this.#next = next
    this.#all.add(generation)
    try {
      generation.start()
      this.#tell('reloading', { generation: generation.number })
      await next.settled
    } catch (error) {
      next.fail(error as Error)
      this.#next = null // its workers end as asked from now on
      await this.#end(generation, 0)
      throw error
    } finally {
      this.#next = null
    }
    this.#tell('switched', { generation: generation.number, previous: previous.number })
    return { generation: generation.number, previous: previous.number, gone }
  }

  /** From one turn to the next: new connections find the new generation, then the old one is told to drain. */
  #switch(next: Preparation, previous: Generation, drainTimeout: number): Promise<void> {
    // Clients that wait for a port which is not served any more came in time for the old workers.
    for (const id of next.missing) this.#ports.acceptWaiting(id)
    for (const slot of previous.slots) {
      if (slot.target !== null) this.#ports.detach(slot.target)
      slot.retire()
    }
    this.#current = next.generation
    this.#base = next.generation.places
    for (const slot of next.generation.slots) {
      if (slot.target !== null) this.#ports.attach(slot.target, this.#ports.portsOf([slot]))
    }
    return this.#end(previous, drainTimeout, true)
  }

  /** Ends a generation and all that was only its own. */
  async #end(generation: Generation, milliseconds: number, successor = false): Promise<void> {
    await generation.stop(milliseconds, successor)
    for (const slot of generation.slots) this.#ports.forget(slot)
    this.#all.delete(generation)
  }
}

function stopped(): HandoverError {
  return new HandoverError('ERR_HANDOVER_STOPPED', 'the supervisor is being stopped')
}
