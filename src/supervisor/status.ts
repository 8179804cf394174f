import type { Dispatcher } from '../dispatch/dispatcher.js'
import type { SocketAddress } from '../transport/address.js'
import type { GenerationStatus } from './generation.js'
import type { Generations } from './generations.js'
import type { PortRegistry } from './port-registry.js'
import type { SetbackKind, Setbacks } from './setbacks.js'
import type { Slot, WorkerStatus } from './slot.js'
import type { Vacancy } from './slot-status.js'

export interface SupervisorStatus {
  workers: WorkerStatus[]
  /** Places without a worker, until the next one is started. */
  vacant: Vacancy[]
  /** Oldest first; those that drain are there until their last worker is gone. */
  generations: GenerationStatus[]
  ports: (SocketAddress | string)[]
  /** Connections ever given to a worker. */
  dispatched: number
  /** Connections that came back from a worker and wait for another. */
  waiting: number
  /** Connections whose clients have not said enough yet for where they go. */
  undecided: number
  /** Connections that did not get to a worker, or not where they asked for, since the start. */
  setbacks: Readonly<Partial<Record<SetbackKind, number>>>
}

export function statusOf(
  generations: Generations,
  { addresses }: PortRegistry,
  { dispatched, waiting, undecided }: Dispatcher,
  { counts }: Setbacks,
): SupervisorStatus {
  const workers = generations.slots.map((slot) => slot.status()).filter((status) => status !== null)
  return {
    workers,
    vacant: generations.slots.filter(({ state }) => state === 'waiting').map(vacancyOf),
    generations: generations.status(),
    ports: addresses,
    dispatched,
    waiting,
    undecided,
    setbacks: { ...counts },
  }
}

function vacancyOf({ number: worker, generation, group, restarts }: Slot): Vacancy {
  return { worker, generation, group, ...restarts.status }
}
