import { HandoverError, type SyscallError } from '../errors.js'
import { RELOAD_PORTS_GRACE } from '../limits.js'
import type { Generation } from './generation.js'
import type { PortRegistry } from './port-registry.js'
import type { Slot } from './slot.js'
import { howEnded, type WorkerEnd } from './worker.js'

/**
 * A generation that gets ready while the one before it serves. It is ready when every worker listens, and some worker on
 * each port that the one before serves: a client that comes a moment later finds somebody.
 */
export class Preparation {
  readonly generation: Generation
  /** Settles when it is ready and `take` was called, or rejects with what is in the way. */
  readonly settled: Promise<void>
  readonly #previous: Generation
  readonly #ports: PortRegistry
  readonly #take: () => void
  readonly #limit: NodeJS.Timeout
  /** Runs while every worker listens, but not on every port. */
  #grace: NodeJS.Timeout | null = null
  #done = false
  #resolve!: () => void
  #reject!: (error: Error) => void

  /**
   * @param milliseconds  until it must be ready
   * @param take  called in the very moment in which it is, before anything else can happen
   */
  constructor(
    generation: Generation,
    previous: Generation,
    ports: PortRegistry,
    milliseconds: number,
    take: () => void,
  ) {
    this.generation = generation
    this.#previous = previous
    this.#ports = ports
    this.#take = take
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.settled.catch(() => {}) // whoever waits for it hears of it
    this.#limit = setTimeout(() => this.#late(milliseconds), milliseconds)
  }

  /** Ports that the generation before serves, and none of these workers. */
  get missing(): number[] {
    const ours = this.#ports.portsOf(this.generation.slots)
    return this.#ports.portsOf(this.#previous.slots).filter((id) => !ours.includes(id))
  }

  /** A worker listens on a port more, or less. */
  step(): void {
    if (this.#done) return
    const whole = this.#silent().length === 0
    if (whole && this.missing.length === 0) return this.#ready()
    if (whole) this.#grace ??= setTimeout(() => this.#graceOver(), RELOAD_PORTS_GRACE)
    else this.#endGrace()
  }

  /** A worker is gone. */
  ended(slot: Slot, end: WorkerEnd, refusal: SyscallError | undefined): void {
    const how = howEnded(end)
    const why = refusal ?? end.error
    const because = why === undefined ? '' : `: ${why.message}`
    this.fail(this.#failure(`worker ${slot.number} ended (${how}) before all were ready${because}`, why))
  }

  fail(error: Error): void {
    if (!this.#finish()) return
    this.#reject(error)
  }

  #ready(): void {
    if (!this.#finish()) return
    this.#take()
    this.#resolve()
  }

  /** Workers that do not listen; where the one before took hand-overs alone, that do not take any. */
  #silent(): Slot[] {
    return this.generation.slots.filter(
      (slot, index) => slot.state !== 'ready' || (!this.#listens(slot) && this.#listens(this.#previous.slots[index])),
    )
  }

  #listens(slot: Slot | undefined): boolean {
    return slot !== undefined && this.#ports.portsOf([slot]).length > 0
  }

  /** A program may serve fewer ports than before. One that serves none of them was not meant to take their place. */
  #graceOver(): void {
    const { missing } = this
    if (missing.length < this.#ports.portsOf(this.#previous.slots).length) return this.#ready()
    const places = missing.map((id) => this.#ports.addressOf(id)).map((at) => (typeof at === 'string' ? at : at?.port))
    this.fail(this.#failure(`it listens elsewhere, and on none of the ports that are served (${places.join(', ')})`))
  }

  #late(milliseconds: number): void {
    const silent = this.#silent().map(({ number }) => `worker ${number} does not listen`)
    const what = silent.length > 0 ? silent.join(', ') : 'it does not listen on every port that is served'
    this.fail(this.#failure(`after ${milliseconds} ms ${what}`))
  }

  #failure(what: string, cause?: Error): HandoverError {
    const options = cause === undefined ? {} : { cause }
    return new HandoverError('ERR_HANDOVER_WORKERS_FAILED', `generation ${this.generation.number}: ${what}`, options)
  }

  #endGrace(): void {
    if (this.#grace !== null) clearTimeout(this.#grace)
    this.#grace = null
  }

  /** @returns whether this is the first end */
  #finish(): boolean {
    if (this.#done) return false
    this.#done = true
    clearTimeout(this.#limit)
    this.#endGrace()
    return true
  }
}
