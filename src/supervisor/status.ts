import type { SocketAddress } from '../transport/address.js'
import type { WorkerStatus } from './slot.js'

export interface SupervisorStatus {
  workers: WorkerStatus[]
  ports: (SocketAddress | string)[]
  /** Connections ever given to a worker. */
  dispatched: number
  /** Connections that came back from a worker and wait for another. */
  waiting: number
}
