import { performance } from 'node:perf_hooks'
import type { Link } from '../channel/link.js'
import type { Target, TargetStatus } from '../dispatch/target.js'
import { REST_AFTER_REFUSAL, STALL_AFTER, UNCLAIMED_MAX } from '../limits.js'
import type { Arrivals } from '../transport/arrivals.js'

/** What a target counts. JSON. */
export interface TargetState {
  readonly ready: boolean
  readonly draining: boolean
  readonly taken: number
  readonly returned: number
  readonly finished: number
}

/**
 * A target at the other end of a channel: a worker process, a worker thread, a peer.
 *
 * Invariant: load = taken + reserved - returned - finished >= 0, and queued + unclaimed + reserved <= load. A target
 * lives as long as its channel: whoever replaces a dead worker has a new one, with counters from zero.
 */
export class ChannelTarget implements Target {
  readonly id: string
  readonly group: string | null
  readonly #channel: Link
  readonly #limit: number
  readonly #onRoomier: () => void
  #ready = false
  #draining = false
  #taken = 0
  #returned = 0
  #finished = 0
  /** Connections of other workers that are offered to it, and not claimed yet. */
  #reserved = 0
  /** When the target last claimed, or was first owed a claim. */
  #progress = 0
  #restsUntil = 0

  /** @param onRoomier  it may have more room than before */
  constructor(id: string, group: string | null, channel: Link, limit: number, onRoomier: () => void) {
    this.id = id
    this.group = group
    this.#channel = channel
    this.#limit = limit
    this.#onRoomier = onRoomier
  }

  get load(): number {
    return this.#taken + this.#reserved - this.#returned - this.#finished
  }

  get room(): number {
    return this.#usable ? Math.min(this.#limit - this.load, UNCLAIMED_MAX - this.#owed) : 0
  }

  /** How many connections it may be handed over. They are bounded by the channel's window, and it need not listen. */
  get places(): number {
    return this.#draining || this.#channel.closed ? 0 : this.#limit - this.load
  }

  /** Whether what it is given is taken at once, as far as is known: it is not stalled, and does not rest. */
  get isPrompt(): boolean {
    const owes = this.#owed + this.#reserved > 0
    if (!owes && this.#restsUntil === 0) return true
    const now = performance.now()
    return now >= this.#restsUntil && !(owes && now - this.#progress > STALL_AFTER)
  }

  get isReady(): boolean {
    return this.#ready
  }

  get state(): TargetState {
    const { isReady: ready } = this
    return { ready, draining: this.#draining, taken: this.#taken, returned: this.#returned, finished: this.#finished }
  }

  /** Counts on from where another stopped. */
  resume({ ready, draining, taken, returned, finished }: TargetState): void {
    this.#ready = ready
    this.#draining = draining
    this.#taken = taken
    this.#returned = returned
    this.#finished = finished
  }

  get capacity(): number {
    return this.#usable ? Math.min(this.#limit, UNCLAIMED_MAX) : 0
  }

  get #usable(): boolean {
    return this.#ready && !this.#draining && !this.#channel.closed && this.isPrompt
  }

  get #owed(): number {
    return this.#channel.queued + this.#channel.unclaimed
  }

  take(arrivals: Arrivals, index: number, port: number): void {
    if (this.#owed + this.#reserved === 0) this.#progress = performance.now()
    this.#channel.take(arrivals.descriptor(index), port, arrivals.note(index))
    this.#taken += 1
  }

  flush(): void {
    if (this.#channel.queued > 0) this.#channel.flush()
  }

  /** It listens now. */
  ready(): void {
    this.#ready = true
  }

  drain(): void {
    this.#draining = true
  }

  /** It has claimed some of what it was sent. */
  claimed(): void {
    this.#progress = performance.now()
    this.#onRoomier()
  }

  /** It is to be offered a connection of another worker's, which counts from now on. */
  reserve(): void {
    if (this.#owed + this.#reserved === 0) this.#progress = performance.now()
    this.#reserved += 1
  }

  /** It did not take one. */
  release(): void {
    this.#reserved -= 1
    this.#progress = performance.now()
    this.#onRoomier()
  }

  /** It has claimed one. */
  handedOver(): void {
    this.#reserved -= 1
    this.#taken += 1
    this.claimed()
  }

  /** @param count  transports closed since the channel began */
  finished(count: number): void {
    this.#finished = Math.min(count, this.#taken - this.#returned)
    this.#onRoomier()
  }

  /** It sent connections back; it is left alone for a moment, lest they go to and fro. */
  returned(count: number): void {
    this.#returned += count
    this.#progress = performance.now()
    this.#restsUntil = performance.now() + REST_AFTER_REFUSAL
    setTimeout(() => this.#onRoomier(), REST_AFTER_REFUSAL + 1)
  }

  status(): TargetStatus {
    const { queued, unclaimed } = this.#channel
    const owed = queued + unclaimed + this.#reserved
    return {
      id: this.id,
      group: this.group,
      ready: this.#ready,
      draining: this.#draining,
      stalled: owed > 0 && performance.now() - this.#progress > STALL_AFTER,
      queued,
      unclaimed: unclaimed + this.#reserved,
      open: this.load - owed,
      total: this.#taken - this.#returned - queued - unclaimed,
      limit: this.#limit,
    }
  }
}
