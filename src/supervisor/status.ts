import type { Dispatcher } from '../dispatch/dispatcher.js'
import type { SocketAddress } from '../transport/address.js'
import { listenQueue } from '../transport/listen-queue.js'
import type { GenerationStatus } from './generations/generation.js'
import type { Generations } from './generations/generations.js'
import type { PortEntry } from './ports/port-entry.js'
import type { PortRegistry } from './ports/port-registry.js'
import type { SetbackKind, Setbacks } from './setbacks.js'
import type { WorkerStatus } from './workers/slot.js'
import { type Vacancy, vacancyOf } from './workers/slot-status.js'

export interface SupervisorStatus {
  workers: WorkerStatus[]
  /** Places without a worker: the next one is to be started, or they are given up. */
  vacant: Vacancy[]
  /** Oldest first; those that drain are there until their last worker is gone. */
  generations: GenerationStatus[]
  ports: (SocketAddress | string)[]
  /** Connections ever given to a worker. */
  dispatched: number
  /** Connections that workers ever accepted by themselves (`share`, `reuseport`). */
  accepted: number
  /** Connections that were accepted and wait for a worker with room: they came back from another, or were looked at. */
  waiting: number
  /** Clients in the kernel's queues of all ports, whom nobody has accepted yet; null: the system does not tell. */
  listenQueue: number | null
  /** Connections whose clients have not said enough yet for where they go. */
  undecided: number
  /** Connections that did not get to a worker, or not where they asked for, since the start. */
  setbacks: Readonly<Partial<Record<SetbackKind, number>>>
}

export function statusOf(
  generations: Generations,
  { addresses, entries, accepted }: PortRegistry,
  { dispatched, waiting, undecided }: Dispatcher,
  { counts }: Setbacks,
): SupervisorStatus {
  const { slots } = generations
  return {
    workers: slots.map((slot) => slot.status()).filter((status) => status !== null),
    vacant: slots.map(vacancyOf).filter((vacancy) => vacancy !== null),
    generations: generations.status(),
    ports: addresses,
    dispatched,
    accepted,
    waiting,
    listenQueue: queueOf(entries),
    undecided,
    setbacks: { ...counts },
  }
}

/** Of all sockets that tell. */
function queueOf(entries: readonly PortEntry[]): number | null {
  const told = entries.flatMap(({ port }) => port.ports.map(({ fd }) => listenQueue(fd))).filter((one) => one !== null)
  return told.length === 0 ? null : told.reduce((sum, one) => sum + one, 0)
}
