import { whenHeard } from '../../awake.js'
import type { SyscallError } from '../../errors.js'
import { RELOAD_PORTS_GRACE } from '../../limits.js'
import type { Slot } from '../workers/slot.js'
import { howEnded, type WorkerEnd } from '../workers/worker.js'
import type { Generation } from './generation.js'
import type { SettledReadiness } from './generation-options.js'
import { programOf } from './places.js'
import { Questions } from './readiness.js'
import { Failure, type Stage, type Watch } from './stage.js'

/** Who gets ready, and instead of whom. */
export interface Candidates {
  readonly generation: Generation
  readonly slots: readonly Slot[]
  /** Those they are to take the place of; meanwhile these may be replaced themselves. */
  previous(): readonly Slot[]
  /** What is asked of them besides that they listen; null: nothing. */
  readonly readiness: SettledReadiness | null
  /** Until they must be ready. */
  readonly milliseconds: number
}

/** The questions about those workers of a generation that there are when they are asked. */
export function questionsFor(
  { ports }: Stage,
  readiness: SettledReadiness,
  generation: Generation,
  slots: () => readonly Slot[],
): Questions {
  const first = generation.places[0]
  const { env, cwd } = first === undefined ? { env: process.env, cwd: process.cwd() } : programOf(first)
  return new Questions(readiness, { generation: generation.number, env, cwd, slots }, ports)
}

/**
 * Workers that get ready while those before them serve. They are when every one of them listens, and some of them on each
 * port that those before serve (a client that comes a moment later finds somebody), and what they are asked is
 * answered well.
 */
export class Preparation implements Watch {
  /** Settles when they are ready and `take` was called, or rejects with what is in the way. */
  readonly settled: Promise<void>
  readonly #stage: Stage
  readonly #candidates: Candidates
  readonly #take: () => void
  readonly #endLimit: () => void
  /** Null: nothing is asked. */
  readonly #questions: Questions | null
  #asking = false
  /** The answers are good. */
  #good = false
  /** Runs while every worker listens, but not on every port. */
  #endGrace: (() => void) | null = null
  #graceIsOver = false
  #done = false
  #resolve!: () => void
  #reject!: (error: Error) => void

  /** @param take  called in the very moment in which they are ready, before anything else can happen */
  constructor(stage: Stage, candidates: Candidates, take: () => void) {
    this.#stage = stage
    this.#candidates = candidates
    this.#take = take
    const { readiness, generation, slots, milliseconds } = candidates
    const questions = readiness === null ? null : questionsFor(stage, readiness, generation, () => slots)
    this.#questions = questions?.any ? questions : null
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.settled.catch(() => {}) // whoever waits for it hears of it
    this.#endLimit = whenHeard(milliseconds, () => this.#late())
  }

  /** Ports that those before serve, and none of these workers. */
  get missing(): number[] {
    const { slots, previous } = this.#candidates
    const ours = this.#stage.ports.portsOf(slots)
    return this.#stage.ports.portsOf(previous()).filter((id) => !ours.includes(id))
  }

  step(): void {
    if (this.#done) return
    const whole = this.#silent().length === 0
    if (whole && (this.#graceIsOver || this.missing.length === 0)) return this.#listening()
    if (whole) this.#endGrace ??= whenHeard(RELOAD_PORTS_GRACE, () => this.#graceOver())
    else this.#noGrace()
  }

  ended(slot: Slot, end: WorkerEnd, refusal: SyscallError | undefined): void {
    if (!this.#candidates.slots.includes(slot)) return
    this.fail(this.#failure(`${endOf(slot, end)} before all were ready`, [slot], end, refusal))
  }

  fail(reason: Error): void {
    if (!this.#finish()) return
    this.#reject(reason)
  }

  cancel(reason: Error): void {
    this.fail(reason)
  }

  /** They may be asked from now on. */
  #listening(): void {
    if (this.#questions === null || this.#good) return this.#ready()
    if (this.#asking) return
    this.#asking = true
    void this.#questions.untilGood(() => {
      this.#good = true
      this.step()
    })
  }

  #ready(): void {
    if (!this.#finish()) return
    this.#take()
    this.#resolve()
  }

  /** Workers that do not listen; where the one before took hand-overs alone, that do not take any. */
  #silent(): Slot[] {
    const { slots } = this.#candidates
    const previous = this.#candidates.previous()
    const before = (slot: Slot): Slot | undefined => previous.find(({ number }) => number === slot.number)
    return slots.filter((slot) => slot.state !== 'ready' || (!this.#listens(slot) && this.#listens(before(slot))))
  }

  #listens(slot: Slot | undefined): boolean {
    return slot !== undefined && this.#stage.ports.portsOf([slot]).length > 0
  }

  /** A program may serve fewer ports than before. One that serves none of them was not meant to take their place. */
  #graceOver(): void {
    const { missing } = this
    const { ports } = this.#stage
    const { slots, previous } = this.#candidates
    this.#graceIsOver = missing.length < ports.portsOf(previous()).length
    if (this.#graceIsOver) return this.step()
    const places = missing.map((id) => ports.addressOf(id)).map((at) => (typeof at === 'string' ? at : at?.port))
    const what = `it listens elsewhere, and on none of the ports that are served (${places.join(', ')})`
    this.fail(this.#failure(what, slots))
  }

  #late(): void {
    const { slots, milliseconds } = this.#candidates
    const silent = this.#silent()
    const says = (slot: Slot): string =>
      `worker ${slot.number} ${this.#stage.explicit.awaits(slot.target) ? 'has not called ready()' : 'does not listen'}`
    const asked = this.#asking ? this.#questions?.why : undefined
    const what = asked ?? 'it does not listen on every port that is served'
    const why = silent.length > 0 ? silent.map(says).join(', ') : what
    this.fail(this.#failure(`after ${milliseconds} ms ${why}`, silent.length > 0 ? silent : slots))
  }

  #failure(what: string, slots: readonly Slot[], end?: WorkerEnd, refusal?: SyscallError): Failure {
    const because = refusal ?? end?.error
    const text = because === undefined ? what : `${what}: ${because.message}`
    return new Failure(`generation ${this.#candidates.generation.number}: ${text}`, slots, because)
  }

  #noGrace(): void {
    this.#endGrace?.()
    this.#endGrace = null
  }

  /** @returns whether this is the first end */
  #finish(): boolean {
    if (this.#done) return false
    this.#done = true
    this.#endLimit()
    this.#noGrace()
    this.#questions?.stop()
    return true
  }
}

/** What became of a worker, in words. */
export function endOf(slot: Slot, end: WorkerEnd): string {
  return `worker ${slot.number} ended (${howEnded(end)})`
}
