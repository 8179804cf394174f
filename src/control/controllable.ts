import type { ReloadOptions } from '../supervisor/options.js'
import type { SupervisorStatus } from '../supervisor/status.js'

/** A step of what was asked for, as a supervisor tells it. */
export type StepListener = (event: Record<string, unknown>) => void

/** What a control socket needs of a supervisor. What it may lack is answered as not supported. */
export interface Controllable {
  status(): SupervisorStatus
  reload(options?: ReloadOptions): Promise<{ generation: number }>
  /** Changes how many workers there are, of one group or of none; settles when it is done. */
  scale?(workers: number, group?: string): Promise<unknown>
  /** Starts a successor of one worker, and drains it when that is ready; settles when it is gone. */
  replace?(worker: number): Promise<unknown>
  stop(milliseconds?: number): Promise<void>
  kill(): Promise<void>
}

/** Its events: more than are named, as releases differ. */
export interface Telling {
  on(name: string, listener: StepListener): unknown
  off(name: string, listener: StepListener): unknown
}

/** The events of a supervisor, whatever they are called. Borrows it. */
export function tellingOf(supervisor: Controllable): Telling {
  return supervisor as unknown as Telling
}
