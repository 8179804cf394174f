import type { ArrivalNote } from '../transport/arrival-note.js'
import type { Arrivals } from '../transport/arrivals.js'

/** A target's live numbers, as its transports report them. Counts are connections. */
export interface TargetStatus {
  readonly id: string
  /** The group of targets it belongs to; null: none. */
  readonly group: string | null
  /** It takes connections. */
  readonly ready: boolean
  /** It finishes what it has and takes nothing new. */
  readonly draining: boolean
  /** It owes claims and makes none: its event loop is blocked, or its process stopped. */
  readonly stalled: boolean
  /** Waiting in the master for room on the channel. */
  readonly queued: number
  /** Sent, not claimed yet: the master still holds a copy. */
  readonly unclaimed: number
  /** Claimed and not closed yet. */
  readonly open: number
  /** Ever claimed. */
  readonly total: number
  /** At most this many of queued + unclaimed + open; Infinity for no limit. */
  readonly limit: number
}

/** One place to hand connections to: a worker process, a worker thread, a peer. */
export interface Target {
  readonly id: string
  /** The group of targets it belongs to; null: none. */
  readonly group: string | null
  /** queued + unclaimed + open */
  readonly load: number
  /** How many more connections it may be given now; 0 while it is not ready, drains, rests or is stalled. */
  readonly room: number
  /** The most `room` can be, with nothing open; 0 while it is not ready, drains, rests or is stalled. */
  readonly capacity: number
  /** Takes row `index`; it goes with the next `flush`. Only while `room` allows. */
  take(arrivals: Arrivals, index: number, port: number): void
  /** Sends what was taken, in one message per port. */
  flush(): void
  status(): TargetStatus
}

/** What came back from a target: descriptors, the port of each, and what was known of some, by index. */
export interface GivenBack {
  readonly descriptors: Int32Array
  readonly tags: Uint32Array
  readonly notes?: ReadonlyMap<number, ArrivalNote>
}
