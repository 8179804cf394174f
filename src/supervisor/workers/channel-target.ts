import { performance } from 'node:perf_hooks'
import type { Link } from '../../channel/link.js'
import type { TargetStatus } from '../../dispatch/target.js'
import { HandoverError } from '../../errors.js'
import { REST_AFTER_REFUSAL, STALL_AFTER, UNCLAIMED_MAX } from '../../limits.js'
import { close, dup } from '../../syscalls/descriptor.js'
import type { Arrivals } from '../../transport/arrivals.js'
import { portFrame } from '../../wire/ports.js'
import type { PortTaker } from '../ports/distributed-port.js'
import { ClaimClock, type ClaimLatency } from './claim-latency.js'

export interface ChannelTargetStatus extends TargetStatus {
  /** It accepts connections by itself; word of them takes a moment. */
  readonly accepts: boolean
  /** How long it takes to claim what it is given; null: nothing was given to it of late. */
  readonly claimLatency: ClaimLatency | null
}

/** What a target counts. JSON. */
export interface TargetState {
  readonly ready: boolean
  readonly draining: boolean
  /** It is hung. */
  readonly suspended: boolean
  readonly taken: number
  readonly accepted: number
  /** The ports it accepts from. */
  readonly ports: readonly number[]
  readonly served: readonly number[]
  readonly returned: number
  readonly finished: number
}

/**
 * A target at the other end of a channel: a worker process, a worker thread, a peer.
 *
 * Invariant: load = taken + accepted + reserved - returned - finished >= 0, and queued + unclaimed + reserved <= load. A target
 * lives as long as its channel: whoever replaces a dead worker has a new one, with counters from zero.
 */
export class ChannelTarget implements PortTaker {
  readonly id: string
  readonly group: string | null
  readonly #channel: Link
  readonly #limit: number
  readonly #onRoomier: () => void
  #ready = false
  #draining = false
  #suspended = false
  #taken = 0
  /** It took these by itself. */
  #accepted = 0
  /** The ports it accepts from. */
  readonly #ports = new Set<number>()
  /** The ports that its program listens on, by itself or not. */
  readonly served = new Set<number>()
  #returned = 0
  #finished = 0
  /** Connections of other workers that are offered to it, and not claimed yet. */
  #reserved = 0
  /** When the target last claimed, or was first owed a claim. */
  #progress = 0
  readonly #claims = new ClaimClock()
  /** Of this channel's: what it was given, claimed or not. */
  #given = 0
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
    return this.#taken + this.#accepted + this.#reserved - this.#returned - this.#finished
  }

  get room(): number {
    return this.#usable ? Math.min(this.#limit - this.load, UNCLAIMED_MAX - this.#owed) : 0
  }

  /** How many connections it may be handed over. They are bounded by the channel's window, and it need not listen. */
  get places(): number {
    return this.#draining || this.#suspended || this.#channel.closed ? 0 : this.#limit - this.load
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
    return {
      ready: this.#ready,
      draining: this.#draining,
      suspended: this.#suspended,
      taken: this.#taken,
      accepted: this.#accepted,
      ports: [...this.#ports],
      served: [...this.served],
      returned: this.#returned,
      finished: this.#finished,
    }
  }

  /** Counts on from where another stopped. */
  resume({ ready, draining, suspended, taken, accepted, ports, served, returned, finished }: TargetState): void {
    this.#ready = ready
    this.#draining = draining
    this.#suspended = suspended
    this.#taken = taken
    this.#accepted = accepted
    for (const id of ports) this.#ports.add(id)
    for (const id of served) this.served.add(id)
    this.#returned = returned
    this.#finished = finished
  }

  get capacity(): number {
    return this.#usable ? Math.min(this.#limit, UNCLAIMED_MAX) : 0
  }

  get #usable(): boolean {
    return this.#ready && !this.#draining && !this.#suspended && !this.#channel.closed && this.isPrompt
  }

  get #owed(): number {
    return this.#channel.queued + this.#channel.unclaimed
  }

  take(arrivals: Arrivals, index: number, port: number): void {
    if (this.#owed + this.#reserved === 0) this.#progress = performance.now()
    this.#channel.take(arrivals.descriptor(index), port, arrivals.note(index))
    this.#taken += 1
    this.#given += 1
  }

  flush(): void {
    if (this.#channel.queued === 0) return
    this.#claims.sent(this.#given)
    this.#channel.flush()
  }

  /** It listens now. */
  ready(): void {
    this.#ready = true
  }

  drain(): void {
    this.#draining = true
  }

  /** It is hung, and given nothing; or goes on. */
  suspend(suspended: boolean): void {
    this.#suspended = suspended
    if (!suspended) this.#onRoomier()
  }

  /** It has claimed some of what it was sent. */
  claimed(): void {
    this.#progress = performance.now()
    this.#claims.claimed(this.#given - this.#owed, this.#progress)
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

  /** Whether its release says that it lives. */
  get beats(): boolean {
    return this.#channel.peer?.capabilities.includes('beats') === true
  }

  get takesPorts(): boolean {
    return this.#channel.peer?.capabilities.includes('ports') === true
  }

  hasPort(id: number): boolean {
    return this.#ports.has(id)
  }

  givePort(id: number, descriptor: number): void {
    if (this.#channel.closed) throw new HandoverError('ERR_HANDOVER_CLOSED', 'its channel is closed')
    const copy = dup(descriptor) // the port may be closed before its turn comes
    const closeCopy = (): void => close(copy)
    this.#channel.offer([], portFrame(id), Int32Array.of(copy), closeCopy, closeCopy)
    this.#ports.add(id)
  }

  refrain(id: number, last: boolean): void {
    this.#ports.delete(id)
    try {
      this.#channel.send({ type: 'refrain', port: id, last })
    } catch {} // it is gone, or has not read for long and will be
  }

  /** It has lost a port, or never got it. */
  withoutPort(id: number): void {
    this.#ports.delete(id)
  }

  /** @param count  transports it accepted by itself since the channel began. @returns how many of them are new */
  accepted(count: number): number {
    const more = Math.max(0, count - this.#accepted)
    this.#accepted += more
    return more
  }

  /** @param count  transports closed since the channel began */
  finished(count: number): void {
    this.#finished = Math.min(count, this.#taken + this.#accepted - this.#returned)
    this.#onRoomier()
  }

  /** It sent connections back; it is left alone for a moment, lest they go to and fro. */
  returned(count: number): void {
    this.#returned += count
    this.#claims.forget()
    this.#progress = performance.now()
    this.#restsUntil = performance.now() + REST_AFTER_REFUSAL
    setTimeout(() => this.#onRoomier(), REST_AFTER_REFUSAL + 1)
  }

  /** Its channel ended: these went back and were never its own. */
  lost(count: number): void {
    this.#returned += count
  }

  status(): ChannelTargetStatus {
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
      total: this.#taken + this.#accepted - this.#returned - queued - unclaimed,
      limit: this.#limit,
      accepts: this.#ports.size > 0,
      claimLatency: this.#claims.status(),
    }
  }
}
