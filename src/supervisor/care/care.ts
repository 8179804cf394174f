import { AwakeClock } from '../../awake.js'
import { guarded } from '../../guarded.js'
import {
  HUNG_GRACE,
  LAG_BEATS,
  LIMIT_LIFE_MIN,
  LIMIT_REST_FIRST,
  LIMIT_REST_LAST,
  SUCCESSOR_READY,
} from '../../limits.js'
import type { FromWorker } from '../../wire/control.js'
import type { SupervisorEvents } from '../events.js'
import type { Gate } from '../workers/gate.js'
import type { Slot } from '../workers/slot.js'
import type { SettledCare } from './care-options.js'
import { asBeat, type Pulse } from './pulse.js'
import type { Replacement } from './replacements.js'

type CareEvent = 'hung' | 'recovered' | 'overLimit' | 'notReplaced'

/** What care of workers needs of the supervisor. */
export interface CareOwner {
  /** Of all workers there are. */
  slots(): readonly Slot[]
  /** Whether new connections are this place's. */
  serves(slot: Slot): boolean
  /** Its worker is hung, and given nothing; or goes on. */
  suspend(slot: Slot, suspended: boolean): void
  replace(slot: Slot): Replacement
  /** Closed while nobody is heard, started or ended. */
  readonly gate: Gate
  tell<Name extends CareEvent>(name: Name, event: SupervisorEvents[Name][0]): void
}

/**
 * Listens to the beats of workers, and has those replaced that are hung, or over a limit.
 *
 * Its clock counts only while this process's own event loop runs: after it was suspended itself, what workers said in the
 * meantime is heard before any of them is judged.
 */
export class WorkerCare {
  readonly #options: SettledCare
  readonly #owner: CareOwner
  #timer: NodeJS.Timeout | null = null
  readonly #clock: AwakeClock
  /** A worker is being replaced for a limit. */
  #replacing = false
  #rest = LIMIT_REST_FIRST
  #restsUntil = 0

  constructor(options: SettledCare, owner: CareOwner) {
    this.#options = options
    this.#owner = owner
    this.#clock = new AwakeClock(2 * options.heartbeat)
  }

  start(): void {
    const { heartbeat } = this.#options
    if (heartbeat === 0) return
    this.#clock.skip()
    this.#timer = setInterval(() => this.#tick(), heartbeat).unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  /** A worker was started. */
  started(slot: Slot): void {
    const { heartbeat: milliseconds } = this.#options
    if (milliseconds > 0) slot.tell({ type: 'heartbeat', milliseconds })
  }

  /** @returns whether the word was for here */
  hears(slot: Slot, word: FromWorker): boolean {
    if (word.type !== 'beat') return false
    const beat = asBeat(word)
    const { pulse } = slot
    if (beat === null || pulse === null) return true
    pulse.heard(beat, this.#clock.time)
    pulse.late = beat.lag > this.#options.maxLag ? pulse.late + 1 : 0
    if (pulse.hung) this.#recovered(slot, pulse)
    if (beat.memory > this.#options.maxMemory) this.#over(slot, 'memory', beat.memory, this.#options.maxMemory)
    else if (pulse.late >= LAG_BEATS) this.#over(slot, 'lag', beat.lag, this.#options.maxLag)
    return true
  }

  #tick(): void {
    if (this.#owner.gate.isClosed) this.#clock.skip()
    else this.#clock.look()
    setImmediate(() => this.#look()) // what workers have said by now is heard before that
  }

  #look(): void {
    if (this.#timer === null || this.#owner.gate.isClosed) return
    for (const slot of this.#owner.slots()) {
      const { pulse } = slot
      if (pulse === null || pulse.hung || slot.debugged) continue
      const starts = slot.state === 'starting'
      if (starts ? !this.#owner.serves(slot) : slot.state !== 'ready' && slot.state !== 'draining') continue
      // One that has served since and never said a word is as silent as one that stopped.
      if (slot.target?.beats) pulse.awaitedAt ??= this.#clock.time
      const last = pulse.heardAt ?? pulse.awaitedAt
      const silent = last === null ? 0 : this.#clock.time - last
      const { hungAfter } = this.#options
      if (silent <= (starts ? Math.max(hungAfter, SUCCESSOR_READY) : hungAfter)) continue
      pulse.hung = true
      this.#owner.suspend(slot, true)
      const { number: worker, pid, generation } = slot
      guarded(() => this.#owner.tell('hung', { worker, pid, generation, silent: Math.round(silent) }))
      // Who starts has nothing yet, and its place is filled again.
      if (starts) slot.kill()
      else this.#end(slot, pulse)
    }
  }

  /** Ends a hung worker once another serves in its place; at once if none will. */
  #end(slot: Slot, pulse: Pulse): void {
    const kill = (): void => {
      if (pulse.hung && slot.pulse === pulse) slot.kill()
    }
    const killSoon = (): void => void setTimeout(() => this.#owner.gate.pass(kill), HUNG_GRACE).unref()
    if (!this.#owner.serves(slot)) return killSoon()
    this.#owner.replace(slot).tookOver.then(killSoon, (error: Error) => {
      kill()
      this.#notReplaced(slot, error)
    })
  }

  #recovered(slot: Slot, pulse: Pulse): void {
    pulse.hung = false
    this.#owner.suspend(slot, false)
    this.#owner.tell('recovered', { worker: slot.number, unclaimed: slot.target?.status().unclaimed ?? 0 })
  }

  #over(slot: Slot, what: 'memory' | 'lag', value: number, limit: number): void {
    const now = performance.now()
    if (this.#replacing || now < this.#restsUntil || this.#timer === null) return
    if (slot.state !== 'ready' || !this.#owner.serves(slot)) return
    const lived = Date.now() - (slot.pulse?.since ?? 0)
    this.#restsUntil = now + this.#rest
    this.#rest = lived < LIMIT_LIFE_MIN ? Math.min(2 * this.#rest, LIMIT_REST_LAST) : LIMIT_REST_FIRST
    this.#replacing = true
    const { number: worker, pid, generation } = slot
    guarded(() => this.#owner.tell('overLimit', { worker, pid, generation, what, value, limit }))
    this.#owner
      .replace(slot)
      .tookOver.catch((error: Error) => this.#notReplaced(slot, error))
      .finally(() => {
        this.#replacing = false
      })
  }

  #notReplaced(slot: Slot, error: Error): void {
    if (this.#timer !== null) guarded(() => this.#owner.tell('notReplaced', { worker: slot.number, error }))
  }
}
