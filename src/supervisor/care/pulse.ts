import { performance } from 'node:perf_hooks'
import type { BeatNotice } from '../../wire/control.js'

/** What is known of a worker by its beats; null: nothing yet, or there are none. */
export interface PulseStatus {
  /** When it was started, milliseconds since 1970. */
  since: number
  /** Milliseconds by which its event loop was late at worst, of late. */
  lag: number | null
  /** Bytes: its resident memory; of a thread what its heap and buffers hold. */
  memory: number | null
  /** Fraction of a processor that it takes, of late. */
  cpu: number | null
  /** Its beats have stopped: it gets no connections, and another takes its place. */
  hung: boolean
}

/** The signs of life of one worker, from its start to its end. */
export class Pulse {
  readonly since: number
  /** On the clock of whoever counts beats; null: none yet. */
  heardAt: number | null = null
  /** On the same clock: since when there should be some; null: none is to be expected. */
  awaitedAt: number | null = null
  hung = false
  /** Beats in a row with too much lag. */
  late = 0
  /** Null: what was before is not known. */
  #last: { beat: BeatNotice; at: number } | null = {
    beat: { type: 'beat', lag: 0, memory: 0, heap: 0, cpu: 0 },
    at: performance.now(),
  }
  #cpu = 0

  constructor(since = Date.now()) {
    this.since = since
  }

  /**
   * Those of a worker that somebody else has listened to.
   * @param beats  it gave some: from now on it is to give others
   */
  static resumed(since: number, beats: boolean, hung: boolean): Pulse {
    const pulse = new Pulse(since)
    pulse.#last = null
    pulse.heardAt = beats ? 0 : null
    pulse.hung = hung
    return pulse
  }

  /** @param now  on the clock of whoever counts beats */
  heard(beat: BeatNotice, now: number): void {
    const at = performance.now()
    const last = this.#last
    if (last !== null && at > last.at) this.#cpu = Math.max(0, beat.cpu - last.beat.cpu) / (at - last.at)
    this.#last = { beat, at }
    this.heardAt = now
  }

  status(): PulseStatus {
    const { since, hung } = this
    if (this.heardAt === null || this.#last === null) return { since, lag: null, memory: null, cpu: null, hung }
    const { lag, memory } = this.#last.beat
    return { since, lag, memory, cpu: Math.round(this.#cpu * 1000) / 1000, hung }
  }
}

/** @returns null: it is none, whatever the worker says */
export function asBeat(word: BeatNotice): BeatNotice | null {
  return [word.lag, word.memory, word.heap, word.cpu].every((one) => Number.isFinite(one)) ? word : null
}
