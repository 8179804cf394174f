import type { SyscallError } from '../errors.js'
import type { SocketAddress } from '../transport/address.js'
import type { SetbackEvent } from './setbacks.js'
import type { WorkerEnd } from './worker.js'

/** Which worker an event is about. */
export interface Told {
  worker: number
  pid: number
  generation: number
}

/**
 * What a supervisor tells, in the order of a worker's life. `worker` is its place, from 1, the same in each generation;
 * generations count from 1 too.
 */
export interface SupervisorEvents {
  /** A worker was started. */
  started: [event: Told]
  /** A port is open for the first time. */
  listening: [event: { address: SocketAddress | string }]
  /** A worker listens and takes connections. */
  ready: [event: Told]
  /** A line of a worker's output; where nobody listens to it, it goes to this process's own. */
  line: [event: { worker: number; stream: 'stdout' | 'stderr'; text: string }]
  /** A port could not be opened for a worker. */
  refused: [event: { worker: number; error: SyscallError }]
  /**
   * A worker is gone: as asked (`expected`), or another takes its place in `restartIn` milliseconds, or neither, and
   * then `start` or `reload` rejects with the reason.
   */
  ended: [event: Told & { end: WorkerEnd; expected: boolean; restartIn: number | null }]
  /** A new generation of workers is being started; the one before it serves on. */
  reloading: [event: { generation: number }]
  /** The new generation has every new connection from now on; the one before it drains. */
  switched: [event: { generation: number; previous: number }]
  /** All workers of the generation before are gone. */
  reloaded: [event: { generation: number; previous: number }]
  /** Another process has all of it now: its workers, its ports. This one has nothing left to do. */
  replaced: [event: { pid: number }]
  /** A worker's channel broke the protocol; the worker is being ended. */
  broken: [event: { worker: number; error: Error }]
  /** A worker owes claims for a second and makes none: it gets no more connections until it does. */
  stalled: [event: { worker: number; unclaimed: number }]
  /** A worker that was stalled claims again. */
  recovered: [event: { worker: number; unclaimed: number }]
  /** The time to drain was up: so many connections were cut. */
  cut: [event: { worker: number; connections: number }]
  /** The master has no free descriptor; accepting goes on by itself. */
  exhausted: [event: { error: SyscallError }]
  /** A worker had no free descriptor: connections went to others. */
  returned: [event: { worker: number; connections: number }]
  /** Connections did not get to a worker, or not where they asked for. Once a second for each kind. */
  setback: [event: SetbackEvent]
  /** The user's policy threw; the connection went by the default policy. */
  policyError: [event: { error: unknown }]
}
