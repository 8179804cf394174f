import type { FromWorker } from '../../wire/control.js'
import type { SupervisorEvents } from '../events.js'
import type { Generations } from '../generations/generations.js'
import { noPlace } from '../generations/places.js'
import { stopped } from '../generations/stage.js'
import { AppMessages } from '../workers/app-messages.js'
import type { Gate } from '../workers/gate.js'
import type { Slot } from '../workers/slot.js'
import { WorkerCare } from './care.js'
import type { SettledCare } from './care-options.js'
import { CrashLoops } from './crash-loops.js'
import type { Replacement } from './replacements.js'

type StaffEvent = 'hung' | 'recovered' | 'overLimit' | 'notReplaced' | 'crashLoop' | 'message'

/** What the workers' staff needs of the supervisor. */
export interface StaffOwner {
  readonly generations: Generations
  readonly drainTimeout: number
  /** Closed while nobody may be started or ended. */
  readonly gate: Gate
  tell<Name extends StaffEvent>(name: Name, event: SupervisorEvents[Name][0]): void
  /** There is nobody left. */
  failed(error: Error): void
}

/** What a supervisor knows of its workers beside their connections, and what it does about it. */
export class Staff {
  readonly #owner: StaffOwner
  readonly #care: WorkerCare
  readonly #crashLoops: CrashLoops
  readonly #messages: AppMessages

  constructor(options: SettledCare, owner: StaffOwner) {
    this.#owner = owner
    const serving = (): readonly Slot[] => owner.generations.serving
    this.#care = new WorkerCare(options, {
      slots: () => owner.generations.slots,
      serves: (slot) => owner.generations.serves(slot),
      suspend: (slot, suspended) => owner.generations.suspend(slot, suspended),
      replace: (slot) => this.#replace(slot),
      gate: owner.gate,
      tell: (name, event) => owner.tell(name, event),
    })
    this.#crashLoops = new CrashLoops(options.crashLoop, {
      serving,
      preparing: () => owner.generations.changing,
      lastLines: (slot) => owner.generations.output.lines(slot),
      tell: (event) => owner.tell('crashLoop', event),
      failed: (error) => owner.failed(error),
    })
    this.#messages = new AppMessages(owner.generations, (event) => owner.tell('message', event))
  }

  start(): void {
    this.#care.start()
  }

  stop(): void {
    this.#care.stop()
  }

  /** Workers of another supervisor are ours from now on: they are asked for signs of life anew. */
  resumed(): void {
    for (const slot of this.#owner.generations.slots) if (slot.target !== null) this.started(slot)
  }

  /** A worker was started. */
  started(slot: Slot): void {
    this.#care.started(slot)
  }

  /** @returns whether the word was for here */
  hears(slot: Slot, word: FromWorker): boolean {
    return this.#care.hears(slot, word) || this.#messages.hears(slot, word)
  }

  /** A worker died that nobody asked to. @returns whether its place is given up, which is told a turn later */
  died(slot: Slot): boolean {
    const lost = this.#crashLoops.died(slot)
    if (lost) setImmediate(() => this.#crashLoops.tell(slot))
    return lost
  }

  /** A reload, a change of scale or a replacement is done, or has failed. */
  changed(): void {
    this.#crashLoops.check()
  }

  /** @see Supervisor.replace */
  async replace(worker: number): Promise<void> {
    const { generations } = this.#owner
    const slot = generations.serving.find(({ number }) => number === worker)
    if (slot === undefined) throw generations.hasPlace(worker) ? stopped() : noPlace(worker)
    await this.#replace(slot).done
  }

  #replace(slot: Slot): Replacement {
    const { generations, drainTimeout } = this.#owner
    const replacement = generations.replace(slot, drainTimeout)
    replacement.tookOver.catch(() => {}).then(() => this.changed())
    return replacement
  }

  /** @see AppMessages.send */
  send(worker: number, message: unknown): boolean {
    return this.#messages.send(worker, message)
  }

  /** @see AppMessages.broadcast */
  broadcast(message: unknown): number {
    return this.#messages.broadcast(message)
  }
}
