import { performance } from 'node:perf_hooks'
import type { LinkHandlers } from '../../channel/handlers.js'
import type { Returned } from '../../channel/held-descriptors.js'
import type { FromMaster, FromWorker } from '../../wire/control.js'
import { Pulse } from '../care/pulse.js'
import { type Place, programAt } from '../generations/places.js'
import type { SettledOrphans } from '../orphans.js'
import type { Relay } from '../relay/relay.js'
import { ChannelTarget } from './channel-target.js'
import type { Gate } from './gate.js'
import { Restarts } from './restarts.js'
import type { SlotRecord } from './slot-record.js'
import type { SlotState, WorkerStatus } from './slot-status.js'
import { Tenant } from './tenant.js'
import { isDebugged, type Program, type Worker, type WorkerEnd } from './worker.js'

export type { SlotState, WorkerStatus } from './slot-status.js'

/** What a place for a worker needs of the supervisor. */
export interface SlotOwner {
  start(program: Program, handlers: LinkHandlers, place: number): Worker
  readonly limit: number
  /** Milliseconds a worker has for its open connections. */
  readonly drainTimeout: number
  /** By which workers hand connections to one another. */
  readonly relay: Relay
  /** What a worker does when this process is killed. */
  readonly orphans: SettledOrphans
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
  accepted(count: number): void // so many more, by workers themselves
  /** @returns whether to start another in its place */
  ended(slot: Slot, end: WorkerEnd, wait: number): boolean
}

/** One place for a worker, filled again whenever the worker in it dies. Each has a fresh channel and target. */
export class Slot {
  readonly number: number
  readonly generation: number
  /** The group it belongs to; null: none. */
  readonly group: string | null
  readonly place: Place
  /** What its workers run. */
  readonly #program: Program
  readonly #owner: SlotOwner
  #worker: Worker | null = null
  #target: ChannelTarget | null = null
  #tenant: Tenant | null = null
  #pulse: Pulse | null = null
  #since = 0
  #state: SlotState = 'stopped'
  #failed = false
  /** Stopped for good. */
  #retired = false
  readonly restarts: Restarts
  /** Settles when the worker that is to stop is gone. */
  #gone: Promise<void> | null = null
  #stopped: (() => void) | null = null
  /** The worker was asked to drain. */
  #drains = false
  #output: Promise<unknown> = Promise.resolve()

  constructor(place: Place, generation: number, owner: SlotOwner) {
    this.number = place.number
    this.group = place.group
    this.generation = generation
    this.place = place
    this.#program = programAt(place, generation, owner.orphans)
    this.#owner = owner
    this.restarts = new Restarts(owner.gate, () => this.start())
  }

  get pid(): number {
    return this.#worker?.pid ?? 0
  }

  get state(): SlotState {
    return this.#state
  }

  /** Settles when all that the last worker wrote has been told, soon after its end. */
  get outputRead(): Promise<unknown> {
    return this.#tenant?.outputRead ?? this.#output
  }

  /** The worker's; null while there is none. */
  get target(): ChannelTarget | null {
    return this.#target
  }

  /** The signs of life of the worker there is; null: there is none. */
  get pulse(): Pulse | null {
    return this.#worker === null ? null : this.#pulse
  }

  /** Somebody may stop its worker to look at it. */
  get debugged(): boolean {
    return isDebugged(this.#program)
  }

  /** Its workers die again and again: from their end on nobody takes the place. */
  fail(): void {
    this.#failed = true
  }

  /** Starts a worker; one that cannot be started counts as one that ended at once. Does nothing after `stop`. */
  start(): void {
    if (this.#retired) return
    this.#since = performance.now()
    this.#state = 'starting'
    try {
      this.#startWorker(this.#owner.start, new Pulse())
    } catch (error) {
      setImmediate(() => this.#ended({ code: null, signal: null, error: error as Error }, 0))
      return
    }
    this.#owner.started(this)
  }

  #startWorker(start: SlotOwner['start'], pulse: Pulse): void {
    const { limit } = this.#owner
    this.#pulse = pulse
    let target: ChannelTarget
    let started: Worker | null = null
    const end = this.#owner.relay.end(this.number, this)
    const handlers: LinkHandlers = {
      ...end.handlers,
      message: (message) => {
        const word = (message ?? {}) as FromWorker // whatever a worker says, it is no reason to fall over
        if (!end.hears(word)) this.#owner.message(this, target, word)
      },
      claimed: () => target.claimed(),
      finished: (count) => target.finished(count),
      accepted: (count) => this.#owner.accepted(target.accepted(count)),
      returned: (returned) => {
        target.returned(returned.descriptors.length)
        this.#owner.sentBack(this, target, returned)
      },
      closed: (error, returned) => {
        if (started === null) return // it could not be started, and was sent nothing
        target.lost(returned.descriptors.length)
        this.#withoutChannel(started, error)
        this.#owner.relay.leave(end)
        this.#owner.lostChannel(this, target, error, returned)
      },
    }
    const worker = start(this.#program, handlers, this.number)
    target = new ChannelTarget(String(this.number), this.group, worker.channel, limit, () =>
      this.#owner.roomier(target),
    )
    end.open(worker.channel, target)
    this.#owner.relay.join(end)
    started = worker
    this.#worker = worker
    this.#target = target
    this.#tenant = new Tenant(worker, target, end, this.#owner.gate, (name, text) => this.#owner.line(this, name, text))
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
    return {
      state: this.#state,
      ...this.restarts.record,
      lived: performance.now() - this.#since,
      since: this.#pulse?.since ?? 0,
      beats: this.#pulse !== null && this.#pulse.heardAt !== null,
      patience: this.#tenant?.patience ?? null,
      worker,
    }
  }

  /** What it has of its worker, to hold it and let it go; null: there is none. */
  get tenant(): Tenant | null {
    return this.#tenant
  }

  /** Another supervisor goes on with its worker, and with the place. */
  letGo(): void {
    this.retire()
    this.#tenant?.letGo()
    this.#tenant = null
    this.#worker = null
    this.#target = null
    this.#state = 'stopped'
  }

  /** Goes on where another supervisor stopped. The worker's link is held. */
  resume(record: SlotRecord, start: SlotOwner['start'] | null): void {
    const { state, lived, since, beats, worker } = record
    this.restarts.resume(record)
    this.#since = performance.now() - lived
    this.#state = state
    this.#failed = state === 'failed'
    this.#pulse = Pulse.resumed(since, beats, worker?.target.suspended ?? false)
    if (worker === null || start === null) return
    this.#startWorker(start, this.#pulse)
    this.#tenant?.resume(worker)
  }

  /**
   * Without its channel a worker is of no use. Mostly it has just died; one that is alive and closed its end is given
   * time to finish what it has, one that broke the protocol is not.
   */
  #withoutChannel(worker: Worker, error: Error | null): void {
    if (this.#state === 'ready') this.#state = 'draining'
    if (error !== null) return worker.kill('SIGKILL')
    this.#tenant?.endIn(0, this.#owner.drainTimeout)
  }

  /** The worker listens: it may have connections from now on. */
  ready(target: ChannelTarget): void {
    target.ready()
    if (this.#state === 'starting') this.#state = 'ready'
  }

  /** @param spare  bytes of the channel's queue that it leaves free. @returns whether there is a worker to hear it */
  tell(message: FromMaster, spare = 0): boolean {
    if (this.#worker === null || this.#worker.channel.closed) return false
    this.#worker.channel.send(message, spare)
    return true
  }

  /** The worker is given nothing more, and when it ends nobody takes its place. */
  retire(): void {
    this.#retired = true
    this.#target?.drain()
    this.restarts.callOff()
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
      this.#drains = ['ready', 'draining'].includes(this.#state) || (this.#target?.load ?? 0) > 0
      this.#state = 'draining'
      // One that does not listen yet has nothing to finish.
      if (this.#drains) this.tell({ type: 'drain', milliseconds, ...(successor && { successor }) })
      else worker.kill('SIGTERM')
    }
    const patience = this.#drains ? milliseconds : 0
    this.#tenant?.endIn(patience)
    await this.#gone
  }

  kill(): void {
    this.#worker?.kill('SIGKILL')
  }

  /** Null: there is no worker. */
  status(): WorkerStatus | null {
    const { number: worker, pid, generation, state } = this
    const pulse = this.#pulse?.status()
    if (pulse === undefined || this.#target === null) return null
    return { ...pulse, ...this.#target.status(), worker, generation, pid, state, restarts: this.restarts.count }
  }

  #ended(end: WorkerEnd, lived: number): void {
    const { error } = end
    const complaint = error && 'errno' in error ? error.message : (error?.stack ?? error?.message)
    for (const text of complaint?.split('\n') ?? []) this.#owner.line(this, 'stderr', text)
    const wait = this.restarts.waitAfter(lived)
    const again = this.#owner.ended(this, end, wait)
    this.#output = this.outputRead
    this.#worker = null
    this.#target = null
    this.#tenant = null
    this.#state = again ? 'waiting' : this.#failed ? 'failed' : 'stopped'
    this.#stopped?.()
    if (again) this.restarts.in(wait)
  }
}
