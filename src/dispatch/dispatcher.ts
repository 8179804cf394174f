import type { SyscallError } from '../errors.js'
import type { Candidate } from '../handshake/candidate.js'
import { Handshake, type Setback } from '../handshake/handshake.js'
import type { SettledHandshake } from '../handshake/options.js'
import { ACCEPT_BATCH_MAX, ROUTE_WAIT_MAX, WAITING_MAX } from '../limits.js'
import type { Acceptor } from '../transport/acceptor.js'
import { type Arrivals, WaitingArrivals } from '../transport/arrivals.js'
import { Exhaustion } from './exhaustion.js'
import { Lane } from './lane.js'
import { type Chooser, chooserOf, type Policy } from './policy.js'
import { routed } from './routed.js'
import type { GivenBack, Target } from './target.js'

export interface DispatcherOptions {
  /** Default 'least-connections'. */
  policy?: Policy
  /** At most this many connections queued, unclaimed or open over all targets. Default: no limit. */
  limit?: number
  /** Every target is of some group: what is routed to none goes to any. Default false: to those of none alone. */
  allGrouped?: boolean
  /** accept(2) found no free descriptor (EMFILE, ENFILE); it is tried again by itself. */
  onExhausted?: (error: SyscallError) => void
  /** A user's policy threw; the connection went by 'least-connections'. */
  onPolicyError?: (error: unknown) => void
  /** A connection was not handed over, or not where it asked for. Borrows it. */
  onSetback?: (setback: Setback | 'no room', reason: string, connections: number, of: Candidate | null) => void
}

/** Part of the capacity that must be free before a port that was full is polled again. */
const RESUME_FRACTION = 0.1

/**
 * Accepts connections in batches, chooses a target for each, and sends each target one message per batch.
 *
 * Invariants: a connection is accepted only while some target has room; with no room, ports are not polled and
 * clients wait in the kernel's queue; a connection that a target gives back goes to another, before any new one.
 */
export class Dispatcher {
  /** Connections ever given to a target, those given again after a target's death counted again. */
  dispatched = 0
  readonly #choose: Chooser
  readonly #limit: number
  readonly #allGrouped: boolean
  readonly #onSetback: Required<DispatcherOptions>['onSetback']
  readonly #lanes = new Map<number, Lane>()
  readonly #exhaustion: Exhaustion
  readonly #targets = new Map<Target, Set<Lane>>()
  #over = false

  /** @throws {TypeError | RangeError} an unknown policy, a limit below 1 */
  constructor(options: DispatcherOptions = {}) {
    this.#allGrouped = options.allGrouped ?? false
    const chooser = chooserOf(options.policy ?? 'least-connections', options.onPolicyError ?? (() => {}))
    this.#choose = routed(chooser, this.#allGrouped)
    this.#limit = options.limit ?? Number.POSITIVE_INFINITY
    if (!(this.#limit >= 1)) throw new RangeError(`limit: a number from 1, not ${options.limit}`)
    this.#exhaustion = new Exhaustion(this.#lanes, options.onExhausted ?? (() => {}))
    this.#onSetback = options.onSetback ?? (() => {})
  }

  /** All ports that are dispatched. */
  get lanes(): Lane[] {
    return [...this.#lanes.values()]
  }

  /** Connections that came back from a target, or were decided, and wait for room. */
  get waiting(): number {
    let waiting = 0
    for (const lane of this.#lanes.values()) waiting += lane.waiting.count
    return waiting
  }

  /** Connections whose clients have not said enough yet. */
  get undecided(): number {
    let undecided = 0
    for (const lane of this.#lanes.values()) undecided += lane.handshake?.count ?? 0
    return undecided
  }

  /**
   * Dispatches a port from now on, to targets attached to it. Borrows the port.
   * @param id         what targets know it by, from 1
   * @param handshake  how its connections are looked at before they are given to a target; null: they are not
   * @throws {SyscallError} EMFILE, ENFILE
   */
  open(id: number, port: Acceptor, handshake: SettledHandshake | null = null): void {
    const lane = new Lane(id, port)
    if (handshake !== null) {
      lane.handshake = new Handshake(handshake, {
        decided: (descriptor, note) => lane.waiting.add(descriptor, note),
        settled: () => this.#giveWaiting(lane),
        setback: (setback, reason, connection) => this.#onSetback(setback, reason, 1, connection),
      })
    }
    this.#lanes.set(id, lane)
  }

  /** Stops dispatching a port; connections of it that wait for a target are closed. The port stays open. */
  shut(id: number): void {
    const lane = this.#lanes.get(id)
    if (lane === undefined) return
    this.#lanes.delete(id)
    lane.close()
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
    if (this.#sharesRoom) this.resumeAll()
  }

  /** A target may have more room than before: it became ready, claimed, finished or recovered. */
  roomier(target: Target): void {
    if (this.#sharesRoom) return this.resumeAll()
    for (const lane of this.#targets.get(target) ?? []) {
      if (lane.paused || lane.waiting.count > 0) this.#resume(lane)
    }
  }

  /**
   * Takes connections that a target did not: they go to another, or wait for one. Those of a port that is not
   * dispatched any more are closed.
   */
  takeBack({ descriptors, tags, notes }: GivenBack): void {
    const lanes = new Set<Lane>()
    const orphans = new WaitingArrivals()
    for (let i = 0; i < descriptors.length; i++) {
      const lane = this.#lanes.get(tags[i] as number)
      if (lane !== undefined) lanes.add(lane)
      ;(lane?.waiting ?? orphans).add(descriptors[i] as number, notes?.get(i))
    }
    orphans.close()
    for (const lane of lanes) this.#giveWaiting(lane)
  }

  /**
   * Accepts what waits in the kernel's queue now, as far as there is room, and never polls the port again. What was
   * accepted is still handed over, and what comes back redirected, until `shut`.
   */
  retire(id: number): void {
    const lane = this.#lanes.get(id)
    if (lane === undefined || lane.retired) return
    this.acceptWaiting(id)
    lane.pause()
    lane.retired = true
  }

  /** Accepts what waits in the kernel's queue now, as far as there is room. */
  acceptWaiting(id: number): void {
    const lane = this.#lanes.get(id)
    if (lane === undefined || lane.retired) return
    while (this.#acceptBatch(lane) > 0);
  }

  /** Nobody will take anything any more: what is undecided or waits is closed, and so is what comes back. */
  giveUp(): void {
    this.#over = true
    for (const lane of this.#lanes.values()) {
      lane.handshake?.close()
      lane.waiting.close()
    }
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

  /** Goes on with all ports, as far as there is room. */
  resumeAll(): void {
    for (const lane of this.#lanes.values()) if (lane.paused || lane.waiting.count > 0) this.#resume(lane)
  }

  /** How many connections the whole may still take: the sums are made only where a limit asks for them. */
  #roomInAll(): number {
    return this.#sharesRoom ? this.#placesInAll() - this.waiting : Number.POSITIVE_INFINITY
  }

  /** The same, with those that wait counted as none: they are about to be given. */
  #placesInAll(): number {
    return this.#sharesRoom ? this.#limit - this.#load() : Number.POSITIVE_INFINITY
  }

  /** @returns 0: none waits, or there is no room */
  readonly #acceptBatch = (lane: Lane): number => {
    if (lane.busy) return 0 // a policy called something that came back here
    this.#giveWaiting(lane)
    const room = lane.refreshBudgets(Math.min(ACCEPT_BATCH_MAX, this.#roomInAll(), WAITING_MAX - lane.waiting.count))
    if (room <= 0) {
      lane.pause()
      return 0
    }
    const count = lane.port.accept(room)
    if (count < 0) return this.#exhaustion.meet(lane, count, () => this.#resume(lane)) ? 1 : 0
    if (lane.handshake === null) this.#give(lane, lane.port.batch, count)
    else lane.handshake.admit(lane.port.batch, count)
    this.#giveWaiting(lane)
    // Full now: no need to be woken to find out. Who is looked at first has taken no room yet.
    if (count === room && room < ACCEPT_BATCH_MAX && lane.handshake === null) lane.pause()
    return count
  }

  /** Those for whom there is no room, which may be that of their group alone, go on waiting. */
  #giveWaiting(lane: Lane): void {
    const { waiting } = lane
    if (this.#over) return waiting.close()
    if (waiting.count === 0 || lane.busy || lane.frozen) return
    const most = Math.min(waiting.count, this.#placesInAll()) // who was undecided has no place yet
    if (lane.refreshBudgets(most) > 0) {
      lane.busy = true
      let given = 0
      waiting.giveOut((index) => {
        if (given >= most || !this.#giveOne(lane, waiting, index)) return false
        given += 1
        return true
      })
      lane.busy = false
      if (given > 0) flush(lane)
    }
    if (waiting.count > 0) this.#beImpatient(lane)
  }

  #give(lane: Lane, arrivals: Arrivals, count: number): void {
    lane.busy = true
    for (let i = 0; i < count; i++) {
      if (!this.#giveOne(lane, arrivals, i)) lane.waiting.add(arrivals.descriptor(i), arrivals.note(i))
    }
    lane.busy = false
    if (count > 0) flush(lane)
  }

  /** @returns false: nobody has room for it, or a policy ended the very target; somebody else gets it, later */
  #giveOne({ targets, budgets, id }: Lane, arrivals: Arrivals, index: number): boolean {
    try {
      const at = this.#choose(targets, budgets, arrivals, index)
      if (at < 0) return false
      budgets[at] = (budgets[at] as number) - 1
      ;(targets[at] as Target).take(arrivals, index, id)
      this.dispatched += 1
      return true
    } catch {
      return false
    }
  }

  /** Closes those that have waited too long for room in one group, or among those of none, while others may have some. */
  #beImpatient(lane: Lane): void {
    lane.patience ??= setTimeout(() => {
      lane.patience = null
      const apart = !this.#allGrouped && lane.targets.some(({ group }) => group !== null)
      const closed = lane.waiting.closeStale(ROUTE_WAIT_MAX, (note) => apart || note?.route.group !== undefined)
      const reason = `no worker that may have it had room for ${ROUTE_WAIT_MAX} ms`
      if (closed > 0) this.#onSetback('no room', reason, closed, null)
      this.#resume(lane)
      if (lane.waiting.count > 0) this.#beImpatient(lane)
    }, ROUTE_WAIT_MAX / 4).unref()
  }

  /** Polls a paused port again once a tenth of the capacity is free, lest it flutter at every single finish. */
  #resume(lane: Lane): void {
    this.#giveWaiting(lane)
    if (!lane.paused || lane.retired || lane.frozen || lane.retry !== null) return
    const { room, capacity } = lane
    const enough = Math.max(1, RESUME_FRACTION * Math.min(capacity, this.#limit))
    if (Math.min(room, this.#roomInAll()) < enough) return
    lane.paused = false
    lane.port.watch(() => this.#acceptBatch(lane))
  }
}

/** A flush may find a target gone, which detaches it: the list is gone through as it was. */
function flush(lane: Lane): void {
  for (const target of [...lane.targets]) target.flush()
}
