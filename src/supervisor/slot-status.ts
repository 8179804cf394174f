import type { TargetStatus } from '../dispatch/target.js'
import type { ChannelTargetStatus } from './channel-target.js'
import type { ClaimLatency } from './claim-latency.js'
import type { PulseStatus } from './pulse.js'

export type SlotState = 'starting' | 'ready' | 'draining' | 'waiting' | 'stopped' | 'failed'

export interface WorkerStatus extends TargetStatus, PulseStatus {
  worker: number
  generation: number
  pid: number
  state: SlotState
  restarts: number
  /** It accepts connections by itself; word of them takes a moment. */
  accepts: boolean
  /** How long it takes of late to claim what it is given; null: not known, as it was given nothing, or accepts by itself. */
  claimLatency: ClaimLatency | null
}

/** A place whose worker died, or could not be started, and that is to be filled again. It has no pid that could be killed. */
export interface Vacancy {
  worker: number
  generation: number
  group: string | null
  restarts: number
  /** Milliseconds until a worker is started there; null: it is being called off. */
  restartIn: number | null
}

/** What is told of a place without a worker, as it was given up. */
export function nobody(
  id: string,
  group: string | null,
  limit: number,
): ChannelTargetStatus & Omit<PulseStatus, 'since'> {
  const counts = { queued: 0, unclaimed: 0, open: 0, total: 0, claimLatency: null }
  const signs = { lag: null, memory: null, cpu: null, hung: false }
  return { id, group, limit, ready: false, draining: false, stalled: false, accepts: false, ...counts, ...signs }
}
