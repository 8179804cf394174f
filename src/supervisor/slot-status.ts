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
  /** Of a place that waits: milliseconds until a worker is started there again; null: none is to be. */
  restartIn: number | null
}

/** What is told of a place without a worker, as its last one died, or could not be started. */
export function nobody(
  id: string,
  group: string | null,
  limit: number,
): ChannelTargetStatus & Omit<PulseStatus, 'since'> {
  const counts = { queued: 0, unclaimed: 0, open: 0, total: 0, claimLatency: null }
  const signs = { lag: null, memory: null, cpu: null, hung: false }
  return { id, group, limit, ready: false, draining: false, stalled: false, accepts: false, ...counts, ...signs }
}
