import type { SupervisorStatus } from '../supervisor/status.js'
import type { WorkerStatus } from '../supervisor/workers/slot.js'
import type { Rates } from './rates.js'
import { handoverVersion } from './version.js'

/** The state of one generation of workers. */
export interface GenerationStatus {
  number: number
  state: string
  /** Milliseconds since the epoch. */
  since?: number
  /** The same; null: none. */
  deadline?: number | null
  workers?: unknown
}

/** What not every supervisor knows of a worker. */
type Pulse = 'lag' | 'memory' | 'cpu' | 'since' | 'hung' | 'claimLatency'

/** A worker as a control socket tells of it; what a supervisor does not know is left out. */
export interface ControlWorker extends Omit<WorkerStatus, Pulse> {
  /** Connections it was given a second, lately. */
  perSecond: number
  /** Milliseconds its event loop is late. */
  lag?: number | null
  /** Bytes. */
  memory?: number | null
  cpu?: number | null
  /** Milliseconds since the epoch. */
  since?: number | null
  hung?: boolean
  claimLatency?: WorkerStatus['claimLatency']
}

/** What older supervisors do not tell. */
type Later = 'accepted' | 'listenQueue' | 'vacant'

/** The answer to `status`. */
export interface ControlStatus
  extends Omit<SupervisorStatus, 'workers' | 'generations' | Later>,
    Partial<Pick<SupervisorStatus, Later>> {
  name: string
  pid: number
  /** The release of handover. */
  handover: string
  node: string
  script: string | null
  /** Milliseconds since the epoch. */
  since: number
  generations: GenerationStatus[]
  workers: ControlWorker[]
  /** Connections handed over a second, lately. */
  perSecond: number
}

/** What is known of the program itself. */
export interface About {
  name: string
  script: string | null
  since: number
}

/** Puts together what `status` answers. */
export function statusAnswer(status: SupervisorStatus, rates: Rates, about: About): ControlStatus {
  const perSecond = rates.of(status.workers)
  const workers = status.workers.map((worker, index) => ({ ...worker, perSecond: perSecond[index] ?? 0 }))
  const { generations = derived(workers) } = status as { generations?: GenerationStatus[] }
  return {
    ...about,
    pid: process.pid,
    handover: handoverVersion,
    node: process.version,
    ...status,
    generations,
    workers,
    perSecond: perSecond.reduce((sum, one) => sum + one, 0),
  }
}

/** Of a supervisor that does not tell its generations: one has those its workers are of. */
function derived(workers: readonly WorkerStatus[]): GenerationStatus[] {
  const numbers = [...new Set(workers.map(({ generation }) => generation))].sort((one, other) => one - other)
  return numbers.map((number) => {
    const states = workers.filter(({ generation }) => generation === number).map(({ state }) => state)
    const state = states.every((one) => one === 'draining' || one === 'stopped')
      ? 'draining'
      : states.includes('ready')
        ? 'serving'
        : 'starting'
    return { number, state, workers: states.length }
  })
}
