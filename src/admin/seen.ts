import type { EventEmitter } from 'node:events'
import type { SupervisorStatus } from '../supervisor/status.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import type { SlotState, WorkerStatus } from '../supervisor/workers/slot.js'

/** What of a supervisor is looked at from outside, and the one thing that can be asked of it. */
export type Watched = Pick<Supervisor, 'status' | 'reload' | 'on' | 'off'>

/** Its events by name, those that this release does not have yet too. */
export function eventsOf(supervisor: Watched): EventEmitter {
  return supervisor as unknown as EventEmitter
}

/** A worker as it is shown; what workers do not report is missing. */
export interface SeenWorker extends Omit<WorkerStatus, 'lag' | 'memory' | 'cpu' | 'hung' | 'claimLatency'> {
  /** Milliseconds by which its event loop is late. */
  lag?: number | null
  /** Resident bytes. */
  memory?: number | null
  /** Fraction of a core. */
  cpu?: number | null
  hung?: boolean
  /** Milliseconds. */
  claimLatency?: WorkerStatus['claimLatency']
}

export interface SeenGeneration {
  number: number
  state: string
  /** Milliseconds since the epoch; deadline null: none. */
  since?: number | null
  deadline?: number | null
  workers: number
}

export interface SeenStatus extends Omit<SupervisorStatus, 'workers' | 'vacant' | 'generations'> {
  workers: SeenWorker[]
  vacant?: SupervisorStatus['vacant']
  generations: SeenGeneration[]
}

export const STATES: readonly SlotState[] = ['starting', 'ready', 'draining', 'waiting', 'stopped', 'failed']

/** The status, with generations made of the workers where the supervisor names none, and no duplicates of places. */
export function seen(supervisor: Watched): SeenStatus {
  const status = supervisor.status() as unknown as SupervisorStatus & { generations?: unknown }
  const workers = status.workers as unknown as SeenWorker[]
  const told = Array.isArray(status.generations) ? (status.generations as SeenGeneration[]) : generationsOf(workers)
  const generations = told.map((one) => ({ ...one, workers: count(one.workers) }))
  return { ...status, workers, generations }
}

/** Workers of a generation, told as a number or as a list. */
function count(workers: unknown): number {
  return Array.isArray(workers) ? workers.length : Number(workers)
}

function generationsOf(workers: readonly SeenWorker[]): SeenGeneration[] {
  const numbers = [...new Set(workers.map(({ generation }) => generation))]
  return numbers.map((number) => {
    const own = workers.filter(({ generation }) => generation === number)
    const has = (state: SlotState): boolean => own.some((worker) => worker.state === state)
    return { number, state: has('ready') ? 'serving' : has('draining') ? 'draining' : 'starting', workers: own.length }
  })
}

/** The number of the generation that serves; where none does, of the last; where there is none, 1. */
export function servingGeneration({ generations }: SeenStatus): number {
  const serving = generations.find(({ state }) => state === 'serving') ?? generations.at(-1)
  return serving?.number ?? 1
}

/** It would be given a connection, if it has room. */
export function isServing(worker: SeenWorker): boolean {
  return worker.state === 'ready' && worker.ready && !worker.draining && worker.hung !== true
}

/** Why no worker takes connections; null: one does. */
export function unready({ workers }: SeenStatus): string | null {
  if (workers.some(isServing)) return null
  if (isDraining(workers)) return 'all workers drain: the service is being stopped'
  return workers.length === 0 ? 'no worker runs' : 'no worker is ready'
}

/** All that are left finish what they have. */
export function isDraining(workers: readonly SeenWorker[]): boolean {
  return workers.length > 0 && workers.every(({ state, draining }) => state === 'draining' || draining)
}
