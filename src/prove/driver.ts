/** A worker as its master shows it. */
export interface WorkerView {
  pid: number
  /** Connections that it has claimed and not closed; null: nobody says. */
  open: number | null
}

/** What runs the servers that are put to the proof. All of it is gone when `stop` has settled. */
export interface Driver {
  /** Starts it; settles when it answers. @returns where, as `http://host:port` */
  start(): Promise<string>
  /** Settles when the old workers are gone, or as far as it can tell. */
  reload(): Promise<void>
  /** Those that serve. */
  workers(): Promise<WorkerView[]>
  /** Replaces the master itself; not there: it cannot. */
  upgrade?(): Promise<void>
  stop(): Promise<void>
  /** The last of what it wrote. */
  readonly output: string
}

/** What cannot be done, and why: the proof ends, and has shown nothing. */
export class DriverError extends Error {}

/** Which script, and how it is run. */
export interface ScriptOptions {
  script: string
  args: readonly string[]
  workers: number
  /** How connections get to the workers; undefined: as is the default. */
  mode: string | undefined
  /** Milliseconds in which old workers stand by at a reload. Default: as `handover run` has it. */
  healthWindow?: number
  env: NodeJS.ProcessEnv
}
