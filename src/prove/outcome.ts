/**
 * What became of a request, each has exactly one.
 *
 * - `answered`  the answer is whole, right, and came once
 * - `refused`   the connection was refused (ECONNREFUSED)
 * - `reset`     the connection ended before any byte of the answer
 * - `race`      the same on a connection that had answered before, at once after the request was sent: the server closed a
 *               connection that was idle, just as its client used it. HTTP allows it, and clients repeat what they may
 * - `cut`       the connection ended in the middle of the answer, or a long-lived one that was to go on
 * - `hung`      no answer, or only part of it, in time
 * - `twice`     answered, and then answered again
 * - `wrong`     another answer than the one that was asked for
 * - `unsent`    the harness itself had no port or descriptor left: no fault of the server's, and no proof either
 */
export const OUTCOMES = ['answered', 'refused', 'reset', 'race', 'cut', 'hung', 'twice', 'wrong', 'unsent'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** Who asks: how its connections are used. */
export const KINDS = ['fresh', 'keep-alive', 'slow', 'message', 'connection'] as const
export type Kind = (typeof KINDS)[number]

export type Counts = Record<Outcome, number>

export function noCounts(): Counts {
  return Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Counts
}

export function asked(counts: Counts): number {
  return OUTCOMES.reduce((sum, outcome) => sum + counts[outcome], 0)
}

/** A request that was not answered as it should be. Times are milliseconds of `now`. */
export interface Loss {
  /** `connection/number`, as it was sent in the request. */
  id: string
  connection: number
  kind: Kind
  outcome: Exclude<Outcome, 'answered'>
  phase: string
  /** When its connection was begun, when it was asked, and when its fate was known. */
  connectionBegan: number
  began: number
  ended: number
  /** The worker that was heard of last on this connection; null: none yet, or the program does not say. */
  pid: number | null
  /** What was seen, for people. */
  detail: string
}
