import type { TargetStatus } from '../dispatch/target.js'
import type { ChannelTargetStatus } from './channel-target.js'
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
}

/** What is left at a place that was given up. */
export function nobody(id: string, group: string | null, limit: number): ChannelTargetStatus {
  const counts = { queued: 0, unclaimed: 0, open: 0, total: 0 }
  return { id, group, limit, ready: false, draining: false, stalled: false, accepts: false, ...counts }
}
