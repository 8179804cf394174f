/** What a supervisor tells its successor of one place for a worker. All of it is JSON. */
import type { LinkState } from '../../channel/rest.js'
import type { RelayState } from '../relay/relay-end.js'
import type { TargetState } from './channel-target.js'
import type { RestartRecord } from './restarts.js'
import type { SlotState } from './slot-status.js'
import type { OutputState } from './worker-output.js'

export interface WorkerRecord {
  readonly pid: number
  readonly link: LinkState
  readonly target: TargetState
  readonly relay: RelayState
}

export interface SlotRecord extends RestartRecord {
  readonly state: SlotState
  /** Milliseconds its worker has been there. */
  readonly lived: number
  /** When it was started, milliseconds since 1970. */
  readonly since: number
  /** It has given a sign of life. */
  readonly beats: boolean
  /** Milliseconds that its worker, which is to end, has left for what is open; null: it is not to. */
  readonly patience: number | null
  /** Null: there is none now. */
  readonly worker: WorkerRecord | null
}

/** A worker that is held: what of it this process has open. Borrowed. */
export interface HeldWorker {
  readonly pid: number
  readonly socket: number
  /** Null: there is none yet. */
  readonly pidfd: number | null
  readonly stdout: OutputState | null
  readonly stderr: OutputState | null
}
