import { AwakeClock, whenHeard } from '../../awake.js'
import type { SyscallError } from '../../errors.js'
import { HANG_INTERVAL } from '../../limits.js'
import type { Slot, WorkerStatus } from '../workers/slot.js'
import type { WorkerEnd } from '../workers/worker.js'
import type { Generation } from './generation.js'
import type { SettledReadiness } from './generation-options.js'
import { endOf, questionsFor } from './preparation.js'
import type { Questions } from './readiness.js'
import { Failure, type Stage, type Watch } from './stage.js'

/** Whose health is watched, and for how long. */
export interface Newcomers {
  readonly generation: Generation
  /** Those that serve: one that is replaced meanwhile has left, and its successor counts. */
  slots(): readonly Slot[]
  readonly readiness: SettledReadiness
  readonly milliseconds: number
}

/** What follows, each called in the very moment, before anything else can happen. */
interface Outcomes {
  /** They stayed healthy. */
  over(): void
  /** They did not: those that stand by take over again. */
  back(): void
}

/**
 * The time behind a switch in which those before stand by, and new workers must neither end, hang, nor answer badly.
 *
 * Who hangs is judged only by time in which this process ran itself: what workers said while it did not is heard first.
 */
export class HealthWindow implements Watch {
  /** Settles when it is over, or rejects with what happened. */
  readonly settled: Promise<void>
  readonly #newcomers: Newcomers
  readonly #outcomes: Outcomes
  readonly #questions: Questions
  readonly #endWindow: () => void
  readonly #looks: NodeJS.Timeout
  readonly #awake = new AwakeClock(2 * HANG_INTERVAL)
  #done = false
  #resolve!: () => void
  #reject!: (error: Error) => void

  constructor(stage: Stage, newcomers: Newcomers, outcomes: Outcomes) {
    this.#newcomers = newcomers
    this.#outcomes = outcomes
    const { generation, slots, readiness, milliseconds } = newcomers
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.settled.catch(() => {}) // whoever waits for it hears of it
    this.#endWindow = whenHeard(milliseconds, () => this.#over())
    this.#looks = setInterval(() => setImmediate(() => this.#lookForHanging()), HANG_INTERVAL)
    this.#questions = questionsFor(stage, readiness, generation, slots)
    if (this.#questions.any) void this.#questions.untilBad((why) => this.#failed(why, slots()))
  }

  step(): void {}

  ended(slot: Slot, end: WorkerEnd, _refusal: SyscallError | undefined): void {
    if (this.#newcomers.slots().includes(slot)) this.#failed(endOf(slot, end), [slot], end.error)
  }

  fail(reason: Error): void {
    if (!this.#finish()) return
    this.#outcomes.back()
    this.#reject(reason)
  }

  cancel(reason: Error): void {
    if (this.#finish()) this.#reject(reason)
  }

  #lookForHanging(): void {
    if (this.#done || !this.#awake.look()) return // the next look is soon
    const hanging = this.#newcomers.slots().find((slot) => hangs(slot.status()))
    if (hanging !== undefined) this.#failed(`worker ${hanging.number} hangs`, [hanging])
  }

  #failed(what: string, slots: readonly Slot[], cause?: Error): void {
    const { generation, milliseconds } = this.#newcomers
    const when = `within ${milliseconds} ms of the switch`
    this.fail(
      new Failure(`generation ${generation.number}: ${what} ${when}, and the workers before serve again`, slots, cause),
    )
  }

  #over(): void {
    if (!this.#finish()) return
    this.#outcomes.over()
    this.#resolve()
  }

  /** @returns whether this is the first end */
  #finish(): boolean {
    if (this.#done) return false
    this.#done = true
    this.#endWindow()
    clearInterval(this.#looks)
    this.#questions.stop()
    return true
  }
}

/** It owes claims and makes none, or its heart, where that is listened to, does not beat. */
function hangs(status: WorkerStatus | null): boolean {
  return status !== null && (status.stalled || status.hung)
}
