import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { LinkHandlers } from '../channel/handlers.js'
import type { Returned } from '../channel/held-descriptors.js'
import type { TargetStatus } from '../dispatch/target.js'
import { KILL_AFTER, OUTPUT_GRACE } from '../limits.js'
import type { FromMaster, FromWorker } from '../wire/control.js'
import { Backoff } from './backoff.js'
import { ChannelTarget } from './channel-target.js'
import { type Place, programOf } from './places.js'
import { Pulse, type PulseStatus } from './pulse.js'
import type { Relay } from './relay.js'
import { isDebugged, type Program, type Worker, type WorkerEnd } from './worker.js'

/** What a place for a worker needs of the supervisor. */
export interface SlotOwner {
  start(program: Program, handlers: LinkHandlers, place: number): Worker
  readonly limit: number
  /** Milliseconds a worker has for its open connections. */
  readonly drainTimeout: number
  /** By which workers hand connections to one another. */
  readonly relay: Relay
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

export type SlotState = 'starting' | 'ready' | 'draining' | 'waiting' | 'stopped' | 'failed'

export interface WorkerStatus extends TargetStatus, PulseStatus {
  worker: number
  generation: number
  pid: number
  state: SlotState
  restarts: number
  /** It accepts connections by itself; word of them takes a moment. */
  accepts: boolean
}

/** What is left at a place that was given up. */
const NOBODY = {
  ready: false,
  draining: false,
  stalled: false,
  accepts: false,
  queued: 0,
  unclaimed: 0,
  open: 0,
  total: 0,
}

/** One place for a worker, filled again whenever the worker in it dies. Each has a fresh channel and target. */
export class Slot {
  readonly number: number
  readonly generation: number
  /** The group it belongs to; null: none. */
  readonly group: string | null
  readonly #program: Program
  readonly #owner: SlotOwner
  readonly #backoff = new Backoff()
  #worker: Worker | null = null
  #target: ChannelTarget | null = null
  #pulse: Pulse | null = null
  #state: SlotState = 'stopped'
  #failed = false
  #restarts = 0
  /** Stopped for good. */
  #retired = false
  #timer: NodeJS.Timeout | null = null
  /** Settles when the worker that is to stop is gone. */
  #gone: Promise<void> | null = null
  #stopped: (() => void) | null = null
  /** The worker was asked to drain. */
  #drains = false
  #output: Promise<unknown> = Promise.resolve()

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
    }
    this.#program = { ...program, env: { ...program.env, ...own } }
    if (group === null) delete this.#program.env.HANDOVER_GROUP // a supervisor may itself run in a worker
    this.#owner = owner
  }

  get pid(): number {
    return this.#worker?.pid ?? 0
  }

  get state(): SlotState {
    return this.#state
  }

  /** Settles when all that the last worker wrote has been told, soon after its end. */
  get outputRead(): Promise<unknown> {
    return this.#output
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
    const since = performance.now()
    this.#state = 'starting'
    let worker: Worker
    try {
      worker = this.#startWorker()
    } catch (error) {
      setImmediate(() => this.#ended({ code: null, signal: null, error: error as Error }, 0))
      return
    }
    worker.ended.then((end) => {
      worker.channel.closeAfterDeath()
      this.#ended(end, performance.now() - since)
    })
    this.#output = Promise.all([this.#read(worker.stdout, 'stdout'), this.#read(worker.stderr, 'stderr')])
    this.#owner.started(this)
  }

  #startWorker(): Worker {
    const { limit } = this.#owner
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
      accepted: (count) => target.accepted(count),
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
    const worker = this.#owner.start(this.#program, handlers, this.number)
    target = new ChannelTarget(String(this.number), this.group, worker.channel, limit, () =>
      this.#owner.roomier(target),
    )
    end.open(worker.channel, target)
    this.#owner.relay.join(end)
    started = worker
    this.#worker = worker
    this.#target = target
    this.#pulse = new Pulse()
    return worker
  }

  /**
   * Without its channel a worker is of no use. Mostly it has just died; one that is alive and closed its end is given
   * time to finish what it has, one that broke the protocol is not.
   */
  #withoutChannel(worker: Worker, error: Error | null): void {
    if (this.#state === 'ready') this.#state = 'draining'
    if (error !== null) return worker.kill('SIGKILL')
    const timers = [
      setTimeout(() => worker.kill('SIGTERM'), KILL_AFTER / 5),
      setTimeout(() => worker.kill('SIGKILL'), this.#owner.drainTimeout + KILL_AFTER),
    ]
    worker.ended.then(() => timers.forEach(clearTimeout))
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
    const term = setTimeout(() => worker.kill('SIGTERM'), patience + KILL_AFTER / 5)
    const kill = setTimeout(() => worker.kill('SIGKILL'), patience + KILL_AFTER)
    await this.#gone
    clearTimeout(term)
    clearTimeout(kill)
  }

  kill(): void {
    this.#worker?.kill('SIGKILL')
  }

  status(): WorkerStatus | null {
    const { number: worker, pid, generation, state, group } = this
    const pulse = this.#pulse?.status()
    if (pulse === undefined || (this.#target === null && state !== 'failed')) return null
    const target = this.#target?.status() ?? { ...NOBODY, id: String(worker), group, limit: this.#owner.limit }
    return { ...target, ...pulse, worker, generation, pid, state, restarts: this.#restarts }
  }

  #read(stream: Readable | null, name: 'stdout' | 'stderr'): Promise<void> {
    if (stream === null) return Promise.resolve()
    const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()))
    createInterface({ input: stream }).on('line', (text) => this.#owner.line(this, name, text))
    // A program that the worker started may hold its output open for ever: what is there by then has been read.
    this.#worker?.ended.then(() => setTimeout(() => stream.destroy(), OUTPUT_GRACE).unref())
    return closed
  }

  #ended(end: WorkerEnd, lived: number): void {
    const { error } = end
    const complaint = error && 'errno' in error ? error.message : (error?.stack ?? error?.message)
    for (const text of complaint?.split('\n') ?? []) this.#owner.line(this, 'stderr', text)
    const wait = this.#backoff.after(lived)
    const again = this.#owner.ended(this, end, wait)
    this.#worker = null
    this.#target = null
    this.#state = again ? 'waiting' : this.#failed ? 'failed' : 'stopped'
    this.#stopped?.()
    if (!again) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#restarts += 1
      this.start()
    }, wait)
  }
}
