import { now } from './clock.js'
import { Histogram } from './histogram.js'
import { type Counts, KINDS, type Kind, type Loss, noCounts, type Outcome } from './outcome.js'

/** Losses that are told one by one; beyond it they are counted only, and none of them is excused. */
const LOSSES_TOLD = 20_000

/** Whose latencies count: those of the others are what they were asked to be. */
const QUICK: readonly Kind[] = ['fresh', 'keep-alive']

/** What happened in all phases of one name; times in milliseconds. */
export interface PhaseTally {
  counts: Counts
  p50: number | null
  p99: number | null
  slowest: number | null
  /** The longest time without any answer that ended in this phase. */
  longestPause: number
}

export interface Tally {
  phases: Record<string, PhaseTally>
  all: PhaseTally
  kinds: Record<Kind, Counts>
  losses: Loss[]
  /** Connections that were begun; ended by the server while no request was out, which loses nothing. */
  connections: number
  idleEnds: number
  /** The longest that the measuring process itself was late: pauses up to that may be its own. */
  harnessLag: number
}

interface Phase {
  counts: Counts
  latencies: Histogram
  longestPause: number
}

/** An entry that may be written again once: an answer that comes a second time. */
export interface Entry {
  phase: string
  kind: Kind
}

/** Counts every request once: `asked` and the sum of all outcomes are the same number when all is settled. */
export class Ledger {
  readonly #phases = new Map<string, Phase>()
  readonly #kinds = Object.fromEntries(KINDS.map((kind) => [kind, noCounts()])) as Record<Kind, Counts>
  readonly #losses: Loss[] = []
  #lastAnswer: number | null = null
  phase = 'steady'
  connections = 0
  idleEnds = 0
  /** No more is asked: from now on pauses are the clients'. */
  closing = false
  settled = 0
  lost = 0

  #at(name: string): Phase {
    let phase = this.#phases.get(name)
    if (phase === undefined) {
      phase = { counts: noCounts(), latencies: new Histogram(), longestPause: 0 }
      this.#phases.set(name, phase)
    }
    return phase
  }

  answered(kind: Kind, began: number): Entry {
    const phase = this.#at(this.phase)
    phase.counts.answered += 1
    this.#kinds[kind].answered += 1
    this.settled += 1
    if (kind !== 'connection') this.#pause(phase)
    if (QUICK.includes(kind)) phase.latencies.add(now() - began)
    return { phase: this.phase, kind }
  }

  #pause(phase: Phase): void {
    const at = now()
    if (this.#lastAnswer !== null && !this.closing)
      phase.longestPause = Math.max(phase.longestPause, at - this.#lastAnswer)
    this.#lastAnswer = at
  }

  /** @param before  it was entered as answered */
  loss(loss: Loss, before: Entry | null = null): void {
    const name = before?.phase ?? loss.phase
    if (before !== null) {
      this.#at(name).counts.answered -= 1
      this.#kinds[loss.kind].answered -= 1
    } else this.settled += 1
    const outcome: Outcome = loss.outcome
    this.#at(name).counts[outcome] += 1
    this.#kinds[loss.kind][outcome] += 1
    this.lost += 1
    if (this.#losses.length < LOSSES_TOLD) this.#losses.push(loss)
  }

  tally(harnessLag: number): Tally {
    const all: Phase = { counts: noCounts(), latencies: new Histogram(), longestPause: 0 }
    for (const { counts, latencies, longestPause } of this.#phases.values()) {
      for (const [outcome, count] of Object.entries(counts)) all.counts[outcome as Outcome] += count
      all.latencies.addAll(latencies)
      all.longestPause = Math.max(all.longestPause, longestPause)
    }
    return {
      phases: Object.fromEntries([...this.#phases].map(([name, phase]) => [name, told(phase)])),
      all: told(all),
      kinds: this.#kinds,
      losses: this.#losses,
      connections: this.connections,
      idleEnds: this.idleEnds,
      harnessLag,
    }
  }
}

function told({ counts, latencies, longestPause }: Phase): PhaseTally {
  const p50 = latencies.at(0.5)
  return { counts, p50, p99: latencies.at(0.99), slowest: p50 === null ? null : latencies.most, longestPause }
}
