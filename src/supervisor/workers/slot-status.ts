import type { TargetStatus } from '../../dispatch/target.js'
import type { PulseStatus } from '../care/pulse.js'
import type { ClaimLatency } from './claim-latency.js'
import type { Restarts } from './restarts.js'

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

/** A place whose worker died, or could not be started. There is no process that could be asked or killed. */
export interface Vacancy {
  worker: number
  generation: number
  group: string | null
  /** `failed`: it is given up until a reload, or `replace`. */
  state: Extract<SlotState, 'waiting' | 'failed'>
  restarts: number
  /** Milliseconds until a worker is started there; null: none will be, or it is being called off. */
  restartIn: number | null
}

interface Place {
  readonly number: number
  readonly generation: number
  readonly group: string | null
  readonly state: SlotState
  readonly restarts: Restarts
}

/** Null: there is a worker, or there is to be none. */
export function vacancyOf({ number: worker, generation, group, state, restarts }: Place): Vacancy | null {
  if (state !== 'waiting' && state !== 'failed') return null
  return { worker, generation, group, state, ...restarts.status }
}
