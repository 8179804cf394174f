import { shown } from '../arguments.js'
import { asOrphan, type DrainOrder } from '../wire/control.js'

/** What becomes of workers whose supervisor was killed. */
export interface OrphanOptions {
  /**
   * What workers do when their supervisor was killed: finish what is open and end, or serve it until the next supervisor
   * runs and tells them to, at most half a minute. Default 'end'.
   */
  orphans?: 'end' | 'wait'
  /** Where they ask for the next supervisor: the address of its control socket. Default: they wait for the time to pass. */
  orphansAsk?: string
}

/** What workers are told of it. */
export interface SettledOrphans {
  readonly wait: boolean
  /** Null: they find nobody. */
  readonly ask: string | null
}

export const ORPHAN_OPTIONS: readonly (keyof OrphanOptions)[] = ['orphans', 'orphansAsk']

/** @throws {TypeError} another word */
export function settleOrphans({
  orphans = 'end',
  orphansAsk = null,
}: {
  orphans?: unknown
  orphansAsk?: unknown
}): SettledOrphans {
  if (orphansAsk !== null && typeof orphansAsk !== 'string') {
    throw new TypeError(`orphansAsk: an address, not ${shown(orphansAsk)}`)
  }
  if (orphans === 'end' || orphans === 'wait') return { wait: orphans === 'wait', ask: orphansAsk }
  throw new TypeError(`orphans: 'end' or 'wait', not ${shown(orphans)}`)
}

/**
 * What a control socket answers a worker of a supervisor that was killed, once this one serves.
 * @param milliseconds  that it has for what is open
 * @returns null: the message is no orphan's
 */
export function answerOrphan(message: unknown, milliseconds: number): DrainOrder | null {
  return asOrphan(message) === null ? null : { type: 'drain', milliseconds }
}
