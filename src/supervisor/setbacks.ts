import { guarded } from '../guarded.js'
import type { Candidate } from '../handshake/candidate.js'
import type { Setback } from '../handshake/handshake.js'
import { SETBACK_INTERVAL } from '../limits.js'

export type SetbackKind = Setback | 'no room'

/** What became of connections that did not get to a worker, or not where they asked for. */
export interface SetbackEvent {
  setback: SetbackKind
  /** Of the last of them. */
  reason: string
  /** Where the last of them came from; null: nobody knows. */
  peer: string | null
  /** How many there were since the last event of this kind. */
  connections: number
}

/** Counts setbacks, and tells of each kind at most once in a while: clients could fill any log. */
export class Setbacks {
  readonly counts: Partial<Record<SetbackKind, number>> = {}
  readonly #tell: (event: SetbackEvent) => void
  readonly #quiet = new Map<SetbackKind, SetbackEvent | null>()

  constructor(tell: (event: SetbackEvent) => void) {
    this.#tell = tell
  }

  add(setback: SetbackKind, reason: string, connections: number, of: Candidate | null): void {
    this.counts[setback] = (this.counts[setback] ?? 0) + connections
    const kept = this.#quiet.get(setback)
    if (kept) {
      kept.connections += connections
      kept.reason = reason
      kept.peer = of?.peer?.address ?? null
      return
    }
    const event = { setback, reason, peer: of?.peer?.address ?? null, connections }
    if (kept === null) return void this.#quiet.set(setback, event)
    this.#quiet.set(setback, null)
    guarded(() => this.#tell(event))
    setTimeout(() => this.#loud(setback), SETBACK_INTERVAL).unref()
  }

  #loud(setback: SetbackKind): void {
    const kept = this.#quiet.get(setback)
    this.#quiet.delete(setback)
    if (!kept) return
    this.#quiet.set(setback, null)
    guarded(() => this.#tell(kept))
    setTimeout(() => this.#loud(setback), SETBACK_INTERVAL).unref()
  }
}
