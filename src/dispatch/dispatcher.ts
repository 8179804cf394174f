import { SyscallError } from '../errors.js'
import { ACCEPT_BATCH_MAX, ACCEPT_RETRY } from '../limits.js'
import { type Arrivals, ReturnedArrivals } from '../transport/arrivals.js'
import type { ListeningPort } from '../transport/listening-port.js'
import { type Chooser, chooserOf, type Policy } from './policy.js'
import type { Target } from './target.js'

export interface DispatcherOptions {
  /** Default 'least-connections'. */
  policy?: Policy
  /** At most this many connections queued, unclaimed or open over all targets. Default: no limit. */
  limit?: number
  /** accept(2) found no free descriptor (EMFILE, ENFILE); it is tried again by itself. */
  onExhausted?: (error: SyscallError) => void
  /** A user's policy threw; the connection went by 'least-connections'. */
  onPolicyError?: (error: unknown) => void
}

/** Part of the capacity that must be free before a port that was full is polled again. */
const RESUME_FRACTION = 0.1

/** One listening port, who serves it, and the connections that came back from a target. */
class Lane {
  readonly targets: Target[] = []
  readonly returned = new ReturnedArrivals()
  budgets = new Int32Array(0)
  paused = true
  retired = false
  busy = false
  retry: NodeJS.Timeout | null = null

  constructor(
    readonly id: number,
    readonly port: ListeningPort,
  ) {}

  /** Asks every target for its room once per batch; the chooser lowers these numbers as it gives. */
  refreshBudgets(most: number): number {
    if (this.budgets.length !== this.targets.length) this.budgets = new Int32Array(this.targets.length)
    let room = 0
    for (let i = 0; i < this.targets.length; i++) {
      const budget = Math.max(0, Math.min(most, (this.targets[i] as Target).room))
      this.budgets[i] = budget
      room += budget
    }
    return Math.min(most, room)
  }
}

/**
 * Accepts connections in batches, chooses a target for each, and sends each target one message per batch.
 *
 * Invariants: a connection is accepted only while some target has room; with no room, ports are not polled and
 * clients wait in the kernel's queue; a connection that a target gives back goes to another, before any new one.
 */
export class Dispatcher {
  readonly #choose: Chooser
  readonly #limit: number
  readonly #onExhausted: (error: SyscallError) => void
  readonly #lanes = new Map<number, Lane>()
  readonly #targets = new Map<Target, Set<Lane>>()
  #dispatched = 0

  /** @throws {TypeError | RangeError} an unknown policy, a limit below 1 */
  constructor(options: DispatcherOptions = {}) {
    this.#choose = chooserOf(options.policy ?? 'least-connections', options.onPolicyError ?? (() => {}))
    this.#limit = options.limit ?? Number.POSITIVE_INFINITY
    if (!(this.#limit >= 1)) throw new RangeError(`limit: a number from 1, not ${options.limit}`)
    this.#onExhausted = options.onExhausted ?? (() => {})
  }

  /** Connections ever given to a target, those given again after a target's death counted again. */
  get dispatched(): number {
    return this.#dispatched
  }

  /** Connections that came back from a target and wait for another. */
  get waiting(): number {
    let waiting = 0
    for (const lane of this.#lanes.values()) waiting += lane.returned.count
    return waiting
  }

  /**
   * Dispatches a port from now on, to targets attached to it. Borrows the port.
   * @param id  what targets know it by, from 1
   */
  open(id: number, port: ListeningPort): void {
    this.#lanes.set(id, new Lane(id, port))
  }

  /** Stops dispatching a port; connections of it that wait for a target are closed. The port stays open. */
  shut(id: number): void {
    const lane = this.#lanes.get(id)
    if (lane === undefined) return
    this.#lanes.delete(id)
    if (lane.retry !== null) clearTimeout(lane.retry)
    if (!lane.retired) lane.port.pause()
    lane.returned.close()
    for (const lanes of this.#targets.values()) lanes.delete(lane)
  }

  /** Lets a target have connections of a port. */
  attach(target: Target, id: number): void {
    const lane = this.#lanes.get(id)
    if (lane === undefined || lane.targets.includes(target)) return
    lane.targets.push(target)
    const lanes = this.#targets.get(target) ?? new Set()
    this.#targets.set(target, lanes.add(lane))
    this.#resume(lane)
  }

  /** The target gets no more of a port, or, without one, nothing more at all. */
  detach(target: Target, id?: number): void {
    const lanes = this.#targets.get(target) ?? new Set()
    for (const lane of [...lanes]) {
      if (id !== undefined && lane.id !== id) continue
      lane.targets.splice(lane.targets.indexOf(target), 1)
      lanes.delete(lane)
      if (!this.#sharesRoom) this.#resume(lane) // less capacity may make enough of the room there is
    }
    // Without one it is gone; else what it has open still counts for the limit in all.
    if (id === undefined) this.#targets.delete(target)
    if (this.#sharesRoom) this.#resumeAll()
  }

  /** A target may have more room than before: it became ready, claimed, finished or recovered. */
  roomier(target: Target): void {
    if (this.#sharesRoom) return this.#resumeAll()
    for (const lane of this.#targets.get(target) ?? []) {
      if (lane.paused || lane.returned.count > 0) this.#resume(lane)
    }
  }

  /**
   * Takes connections that a target did not: they go to another, or wait for one. Those of a port that is not
   * dispatched any more are closed.
   */
  takeBack(descriptors: Int32Array, ports: Uint32Array): void {
    const lanes = new Set<Lane>()
    const orphans = new ReturnedArrivals()
    for (let i = 0; i < descriptors.length; i++) {
      const lane = this.#lanes.get(ports[i] as number)
      if (lane !== undefined) lanes.add(lane)
      ;(lane?.returned ?? orphans).add(descriptors[i] as number)
    }
    orphans.close()
    for (const lane of lanes) this.#giveReturned(lane)
  }

  /**
   * Accepts what waits in the kernel's queue now, as far as there is room, and never polls the port again. What was
   * accepted is still handed over, and what comes back redirected, until `shut`.
   */
  retire(id: number): void {
    const lane = this.#lanes.get(id)
    if (lane === undefined || lane.retired) return
    this.acceptWaiting(id)
    this.#pause(lane)
    lane.retired = true
  }

  /** Accepts what waits in the kernel's queue now, as far as there is room. */
  acceptWaiting(id: number): void {
    const lane = this.#lanes.get(id)
    if (lane === undefined || lane.retired) return
    while (this.#acceptBatch(lane) > 0);
  }

  #load(): number {
    let load = 0
    for (const target of this.#targets.keys()) load += target.load
    return load
  }

  /** With a limit in all, room that one port's targets free may be another port's. */
  get #sharesRoom(): boolean {
    return this.#limit !== Number.POSITIVE_INFINITY
  }

  #resumeAll(): void {
    for (const lane of this.#lanes.values()) if (lane.paused || lane.returned.count > 0) this.#resume(lane)
  }

  /** How many connections the whole may still take: the sums are made only where a limit asks for them. */
  #roomInAll(): number {
    return this.#sharesRoom ? this.#limit - this.#load() - this.waiting : Number.POSITIVE_INFINITY
  }

  readonly #acceptBatch = (lane: Lane): number => {
    if (lane.busy) return 0 // a policy called something that came back here
    this.#giveReturned(lane)
    const room = lane.refreshBudgets(Math.min(ACCEPT_BATCH_MAX, this.#roomInAll()))
    if (room <= 0) {
      this.#pause(lane)
      return 0
    }
    const count = lane.port.accept(room)
    if (count < 0) {
      this.#exhausted(lane, count)
      return 0
    }
    this.#give(lane, lane.port.batch, count)
    this.#giveReturned(lane)
    if (count === room && room < ACCEPT_BATCH_MAX) this.#pause(lane) // full now: no need to be woken to find out
    return count
  }

  #giveReturned(lane: Lane): void {
    if (lane.returned.count === 0 || lane.busy) return
    const count = Math.min(lane.returned.count, lane.refreshBudgets(lane.returned.count))
    this.#give(lane, lane.returned, count)
    lane.returned.forget(count)
  }

  #give(lane: Lane, arrivals: Arrivals, count: number): void {
    const { targets, budgets } = lane
    lane.busy = true
    for (let i = 0; i < count; i++) {
      try {
        const at = this.#choose(targets, budgets, arrivals, i)
        budgets[at] = (budgets[at] as number) - 1
        ;(targets[at] as Target).take(arrivals, i, lane.id)
        this.#dispatched += 1
      } catch {
        lane.returned.add(arrivals.descriptor(i)) // a policy ended the very target: somebody else gets it, later
      }
    }
    lane.busy = false
    // A flush may find a target gone, which detaches it: go through the list as it was.
    for (const target of count > 0 ? [...targets] : []) target.flush()
  }

  #pause(lane: Lane): void {
    if (lane.paused) return
    lane.paused = true
    lane.port.pause()
  }

  /** Polls a paused port again once a tenth of the capacity is free, lest it flutter at every single finish. */
  #resume(lane: Lane): void {
    this.#giveReturned(lane)
    if (!lane.paused || lane.retired || lane.retry !== null) return
    let room = 0
    let capacity = 0
    for (const target of lane.targets) {
      room += target.room
      capacity += target.capacity
    }
    const enough = Math.max(1, RESUME_FRACTION * Math.min(capacity, this.#limit))
    if (Math.min(room, this.#roomInAll()) < enough) return
    lane.paused = false
    lane.port.watch(() => this.#acceptBatch(lane))
  }

  /** Not polled until a while has passed: the condition would wake the loop again and again. */
  #exhausted(lane: Lane, errno: number): void {
    this.#pause(lane)
    lane.retry = setTimeout(() => {
      lane.retry = null
      this.#resume(lane)
    }, ACCEPT_RETRY)
    this.#onExhausted(new SyscallError(errno, 'accept4'))
  }
}
