import { hasInherited } from '../bootstrap/inherit.js'
import type { AppWorker } from './app-worker.js'
import { attachedMaster, isAttached } from './attach.js'

/**
 * This worker, in a program that a supervisor started; null in any other.
 * The channel of a child that was started by `spawn` is its own to take: it is no worker, and nothing is taken here.
 */
export const worker: AppWorker | null =
  isAttached() || (hasInherited() && process.env.HANDOVER_WORKER !== undefined) ? (attachedMaster()?.app ?? null) : null
