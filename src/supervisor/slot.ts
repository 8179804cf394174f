import { performance } from 'node:perf_hooks'
import type { Returned } from '../channel/held-descriptors.js'
import type { TargetStatus } from '../dispatch/target.js'
import { KILL_AFTER } from '../limits.js'
import type { FromMaster, FromWorker } from '../wire/control.js'
import { Backoff } from './backoff.js'
import { ChannelTarget } from './channel-target.js'
import type { Gate } from './gate.js'
import { type Place, programOf } from './places.js'
import type { Relay } from './relay.js'
import type { SlotRecord } from './slot-record.js'
import { endInTime, Tenant } from './tenant.js'
import type { Program, StartWorker, Worker, WorkerEnd } from './worker.js'

/** What a place for a worker needs of the supervisor. */
export interface SlotOwner {
  readonly start: StartWorker
  readonly limit: number
  /** Milliseconds a worker has for its open connections. */
  readonly drainTimeout: number
  /** By which workers hand connections to one another. */
  readonly relay: Relay
  /** What a worker does when this process is killed. */
  readonly orphans: 'end' | 'wait'
  /** Closed while another process may take our place. */
  readonly gate: Gate
  started(slot: Slot): void
  message(slot: Slot, target: ChannelTarget, message: FromWorker): void
  line(slot: Slot, stream: 'stdout' | 'stderr', text: string): void
  /** The channel's end: gives what the worker had not claimed. */
  lostChannel(slot: Slot, target: ChannelTarget, error: Error | null, returned: Returned): void
  /** The worker sent connections back. Gives them. */
  sentBack(slot: Slot, target: ChannelTarget, returned: Returned): void
  roomier(target: ChannelTarget): void
  /** @returns whether to start another in its place */
  ended(slot: Slot, end: WorkerEnd, wait: number): boolean
}

export type SlotState = 'starting' | 'ready' | 'draining' | 'waiting' | 'stopped'

export interface WorkerStatus extends TargetStatus {
  worker: number
  generation: number
  pid: number
  state: SlotState
  restarts: number
}

/** One place for a worker, filled again whenever the worker in it dies. Each has a fresh channel and target. */
export class Slot {
  readonly number: number
  readonly generation: number
  /** The group it belongs to; null: none. */
  readonly group: string | null
  /** What its workers run. */
  readonly program: Program
  readonly #owner: SlotOwner
  readonly #backoff = new Backoff()
  #worker: Worker | null = null
  #target: ChannelTarget | null = null
  #tenant: Tenant | null = null
  #since = 0
  #restartAt = 0
  /** When the worker that is to stop is ended, as performance.now() tells. */
  #stopAt: number | null = null
  /** What ends it then. */
  readonly #killers: NodeJS.Timeout[] = []
  #state: SlotState = 'stopped'
  #restarts = 0
  /** Stopped for good. */
  #retired = false
  #timer: NodeJS.Timeout | null = null
  /** Settles when the worker that is to stop is gone. */
  #gone: Promise<void> | null = null
  #stopped: (() => void) | null = null
  /** The worker was asked to drain. */
  #drains = false

  constructor(place: Place, generation: number, owner: SlotOwner) {
    const { number, group } = place
    const program = programOf(place)
    this.number = number
    this.group = group
    this.generation = generation
    const own = {
      HANDOVER_WORKER: String(number),
      HANDOVER_GENERATION: String(generation),
      ...(group === null ? {} : { HANDOVER_GROUP: group }),
      ...(owner.orphans === 'end' ? {} : { HANDOVER_ORPHANS: owner.orphans }),
    }
    this.program = { ...program, env: { ...program.env, ...own } }
    if (group === null) delete this.program.env.HANDOVER_GROUP // a supervisor may itself run in a worker
    this.#owner = owner
  }

  get pid(): number {
    return this.#worker?.pid ?? 0
  }

  get state(): SlotState {
    return this.#state
  }

  /** The worker's; null while there is none. */
  get target(): ChannelTarget | null {
    return this.#target
  }

  /** Starts a worker; one that cannot be started counts as one that ended at once. Does nothing after `stop`. */
  start(): void {
    if (this.#retired) return
    this.#since = performance.now()
    this.#state = 'starting'
    try {
      this.#startWorker(this.#owner.start)
    } catch (error) {
      setImmediate(() => this.#ended({ code: null, signal: null, error: error as Error }, 0))
      return
    }
    this.#owner.started(this)
  }

  #startWorker(start: StartWorker): void {
    const { limit } = this.#owner
    let target: ChannelTarget
    let started: Worker | null = null
    const end = this.#owner.relay.end(this.number, this)
    const worker = start(this.program, {
      ...end.handlers,
      message: (message) => {
        const word = (message ?? {}) as FromWorker // whatever a worker says, it is no reason to fall over
        if (!end.hears(word)) this.#owner.message(this, target, word)
      },
      claimed: () => target.claimed(),
      finished: (count) => target.finished(count),
      returned: (returned) => {
        target.returned(returned.descriptors.length)
        this.#owner.sentBack(this, target, returned)
      },
      closed: (error, returned) => {
        if (started === null) return // it could not be started, and was sent nothing
        this.#withoutChannel(started, error)
        this.#owner.relay.leave(end)
        this.#owner.lostChannel(this, target, error, returned)
      },
    })
    target = new ChannelTarget(String(this.number), this.group, worker.channel, limit, () =>
      this.#owner.roomier(target),
    )
    end.open(worker.channel, target)
    this.#owner.relay.join(end)
    started = worker
    this.#worker = worker
    this.#target = target
    this.#tenant = new Tenant(worker, target, end, (name, text) => this.#owner.line(this, name, text))
    this.#tenant.ended.then((end) => {
      this.#owner.gate.pass(() => {
        worker.channel.closeAfterDeath()
        this.#ended(end, performance.now() - this.#since)
      })
    })
  }

  /** What a successor must know; null: something is on its way. */
  get record(): SlotRecord | null {
    const worker = this.#tenant === null ? null : this.#tenant.record
    if (worker === undefined || (worker === null && this.#state === 'starting')) return null
    const { number, state } = this
    const now = performance.now()
    const patience = this.#stopAt === null ? null : Math.max(0, this.#stopAt - now)
    const restartIn = this.#timer === null ? null : Math.max(0, this.#restartAt - now)
    const [restarts, backoff, lived] = [this.#restarts, this.#backoff.next, now - this.#since]
    return { number, state, restarts, backoff, lived, restartIn, patience, worker }
  }

  /** What it has of its worker, to hold it and let it go; null: there is none. */
  get tenant(): Tenant | null {
    return this.#tenant
  }

  /** Another supervisor goes on with its worker, and with the place. */
  letGo(): void {
    this.retire()
    this.#killers.forEach(clearTimeout)
    this.#tenant?.letGo()
    this.#tenant = null
    this.#worker = null
    this.#target = null
    this.#state = 'stopped'
  }

  /** Goes on where another supervisor stopped. The worker's link is held. */
  resume({ state, restarts, backoff, lived, restartIn, worker }: SlotRecord, start: StartWorker | null): void {
    this.#restarts = restarts
    this.#backoff.next = backoff
    this.#since = performance.now() - lived
    this.#state = state
    if (restartIn !== null) this.#startIn(restartIn)
    if (worker === null || start === null) return
    this.#startWorker(start)
    this.#tenant?.resume(worker)
  }

  /**
   * Without its channel a worker is of no use. Mostly it has just died; one that is alive and closed its end is given
   * time to finish what it has, one that broke the protocol is not.
   */
  #withoutChannel(worker: Worker, error: Error | null): void {
    if (error !== null) return worker.kill('SIGKILL')
    if (this.#state === 'ready') this.#state = 'draining'
    endInTime(worker, this.#owner.drainTimeout)
  }

  /** The worker listens: it may have connections from now on. */
  ready(target: ChannelTarget): void {
    target.ready()
    if (this.#state === 'starting') this.#state = 'ready'
  }

  tell(message: FromMaster): void {
    if (this.#worker !== null && !this.#worker.channel.closed) this.#worker.channel.send(message)
  }

  /** The worker is given nothing more, and when it ends nobody takes its place. */
  retire(): void {
    this.#retired = true
    this.#target?.drain()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  /**
   * Lets the worker finish what it has; settles when it is gone. A second call can shorten the time, not lengthen it.
   * @param milliseconds  that it has for open connections
   * @param successor  others serve its ports already
   */
  async stop(milliseconds: number, successor = false): Promise<void> {
    this.retire()
    const worker = this.#worker
    if (worker === null) {
      this.#state = 'stopped'
      return
    }
    if (this.#gone === null) {
      this.#gone = new Promise((resolve) => {
        this.#stopped = resolve
      })
      this.#drains = this.#state === 'ready' || (this.#target?.load ?? 0) > 0
      this.#state = 'draining'
      // One that does not listen yet has nothing to finish.
      if (this.#drains) this.tell({ type: 'drain', milliseconds, ...(successor && { successor }) })
      else worker.kill('SIGTERM')
    }
    const patience = this.#drains ? milliseconds : 0
    this.#stopAt = Math.min(this.#stopAt ?? Number.POSITIVE_INFINITY, performance.now() + patience)
    const timers = [
      setTimeout(() => worker.kill('SIGTERM'), patience + KILL_AFTER / 5),
      setTimeout(() => worker.kill('SIGKILL'), patience + KILL_AFTER),
    ]
    this.#killers.push(...timers)
    await this.#gone
    timers.forEach(clearTimeout)
  }

  kill(): void {
    this.#worker?.kill('SIGKILL')
  }

  status(): WorkerStatus | null {
    if (this.#target === null) return null
    const { pid, generation, state } = this
    return { ...this.#target.status(), worker: this.number, generation, pid, state, restarts: this.#restarts }
  }

  #ended(end: WorkerEnd, lived: number): void {
    const complaint = end.error?.stack ?? end.error?.message
    for (const text of complaint?.split('\n') ?? []) this.#owner.line(this, 'stderr', text)
    const wait = this.#backoff.after(lived)
    const again = this.#owner.ended(this, end, wait)
    this.#worker = null
    this.#target = null
    this.#tenant = null
    this.#state = again ? 'waiting' : 'stopped'
    this.#stopped?.()
    if (again) this.#startIn(wait)
  }

  #startIn(wait: number): void {
    this.#restartAt = performance.now() + wait
    this.#timer = setTimeout(() => {
      this.#owner.gate.pass(() => {
        this.#timer = null
        this.#restarts += 1
        this.start()
      })
    }, wait)
  }
}
