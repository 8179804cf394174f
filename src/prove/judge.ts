import { SELF_STATUS_DELAY } from '../limits.js'
import type { Loss, Outcome } from './outcome.js'

/** Something that was done to the servers. Times are milliseconds of `now`. */
export interface Deed {
  what: 'reload' | 'kill' | 'upgrade'
  /** The name of its phase. */
  phase: string
  began: number
  /** All is as before: the old are gone, or a successor serves. */
  ended: number
  killed: Killed | null
}

export interface Killed {
  pid: number
  /** When all its connections were closed by the system. */
  gone: number
  /** Connections it had claimed at `began`; null: its master does not say. */
  open: number | null
  /** All workers that served then. */
  workers: readonly number[]
}

/** A loss, and what the guarantees say of it. */
export interface Verdict {
  loss: Loss
  /** The kill that allows it; null: nothing does. */
  allowedBy: Deed | null
  why: string
}

/** What the death of a worker may do to a request. It can neither refuse, nor keep waiting, nor answer twice or wrongly. */
const BY_DEATH: readonly Outcome[] = ['reset', 'race', 'cut']
/** Milliseconds before a kill from which on connections may have been claimed without `open` counting them. */
const UNCOUNTED = 100 + SELF_STATUS_DELAY

/**
 * Says of each loss whether the guarantees exclude it: they do, unless it was on a connection that a killed worker had
 * claimed. With the master's count of those, no more losses are allowed than there were.
 */
export function judge(losses: readonly Loss[], deeds: readonly Deed[]): Verdict[] {
  const kills = deeds.filter(({ what }) => what === 'kill')
  const verdicts = losses.map((loss) => verdictOf(loss, kills))
  for (const kill of kills) limitToOpen(kill, verdicts)
  return verdicts
}

function verdictOf(loss: Loss, kills: readonly Deed[]): Verdict {
  const refuse = (why: string): Verdict => ({ loss, allowedBy: null, why })
  if (loss.outcome === 'unsent') return refuse('the harness had no port or descriptor left')
  const deed = kills.find(({ began, ended }) => loss.ended >= began && loss.ended <= ended)
  if (deed?.killed === null || deed === undefined) return refuse('no worker was killed then')
  const { pid, gone, workers } = deed.killed
  if (!BY_DEATH.includes(loss.outcome)) return refuse('the death of a worker does not excuse it')
  if (loss.connectionBegan > gone) return refuse(`its connection was begun after worker ${pid} was gone`)
  if (loss.pid === pid) return { loss, allowedBy: deed, why: `worker ${pid} had its connection` }
  if (loss.pid === null) return { loss, allowedBy: deed, why: `worker ${pid} may have had its connection` }
  if (workers.includes(loss.pid)) return refuse(`its connection was with worker ${loss.pid}, which was not killed`)
  return {
    loss,
    allowedBy: deed,
    why: `worker ${pid} may have had its connection, which worker ${loss.pid} had before`,
  }
}

/** Several requests on one connection are lost with it, so connections are counted, not requests. */
function limitToOpen(kill: Deed, verdicts: Verdict[]): void {
  const open = kill.killed?.open ?? null
  if (open === null) return
  const counted = verdicts.filter(
    ({ allowedBy, loss }) => allowedBy === kill && loss.connectionBegan < kill.began - UNCOUNTED,
  )
  const connections = [...new Set(counted.map(({ loss }) => loss.connection))]
  const beyond = new Set(connections.slice(open))
  for (const verdict of counted) {
    if (!beyond.has(verdict.loss.connection)) continue
    verdict.allowedBy = null
    verdict.why = `worker ${kill.killed?.pid} had ${open} connections, and ${connections.length} were lost`
  }
}
