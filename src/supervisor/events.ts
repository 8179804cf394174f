import type { SyscallError } from '../errors.js'
import type { SocketAddress } from '../transport/address.js'
import type { SetbackEvent } from './setbacks.js'
import type { WorkerEnd } from './workers/worker.js'

/** Which worker an event is about. */
export interface Told {
  worker: number
  pid: number
  generation: number
}

/** A successor has taken over. */
export interface ReplacedEvent extends Told {
  /** The pid of the one before, which drains now. */
  previous: number
}

/** A place was given up. */
export interface CrashLoopEvent {
  worker: number
  generation: number
  deaths: number
  /** Milliseconds. */
  within: number
  /** The last lines that its workers wrote; left out: none. */
  lastOutput?: string
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
   * then `start` or `reload` rejects with the reason, or `crashLoop` follows.
   */
  ended: [event: Told & { end: WorkerEnd; expected: boolean; restartIn: number | null }]
  /** A reload, or a change of scale, waits for so many others that were asked for before. */
  queued: [event: { what: 'reload' | 'scale'; ahead: number }]
  /** A new generation of workers is being started; the one before it serves on. */
  reloading: [event: { generation: number }]
  /** Of a rolling reload: a worker of the new generation took this place; `done` of `of` places have one. */
  rolled: [event: { generation: number; worker: number; done: number; of: number }]
  /** The new generation has every new connection from now on; the one before it stands by, then drains. */
  switched: [event: { generation: number; previous: number }]
  /** The time in which its health was watched is over; the generation before drains. */
  healthy: [event: { generation: number }]
  /** The new generation served and failed: the one before it, `to`, has every new connection again. */
  rolledBack: [event: { generation: number; to: number; reason: string }]
  /** The new generation never served: the one before it serves on as it did. */
  notReloaded: [event: { generation: number; error: Error }]
  /** All workers of the generation before are gone. */
  reloaded: [event: { generation: number; previous: number }]
  /** There are `to` workers of a group, or of none, from now on; those that go drain. */
  scaled: [event: { generation: number; group: string | null; from: number; to: number }]
  /** Another process has all of it now: its workers, its ports. This one has nothing left to do. */
  succeeded: [event: { pid: number }]
  /** A worker's channel broke the protocol; the worker is being ended. */
  broken: [event: { worker: number; error: Error }]
  /** A worker owes claims for a second and makes none: it gets no more connections until it does. */
  stalled: [event: { worker: number; unclaimed: number }]
  /** A worker that was stalled claims again, or one that was hung gives a sign of life. */
  recovered: [event: { worker: number; unclaimed: number }]
  /** A worker gave no sign of life for `silent` ms: it gets no more connections, and another is started in its place. */
  hung: [event: Told & { silent: number }]
  /** A worker is over a limit, bytes of memory or milliseconds of event-loop lag: another is started in its place. */
  overLimit: [event: Told & { what: 'memory' | 'lag'; value: number; limit: number }]
  /** Another worker serves at the place; the one before, whose pid is `previous`, drains. */
  replaced: [event: ReplacedEvent]
  /** The successor of a worker that is hung, or over a limit, did not get ready. */
  notReplaced: [event: { worker: number; error: Error }]
  /** Workers died so often at a place that it is given up, until a reload. */
  crashLoop: [event: CrashLoopEvent]
  /** Every place was given up, and everything is stopped. */
  failed: [event: { error: Error }]
  /** A worker's program sent a message. */
  message: [event: { worker: number; generation: number; message: unknown }]
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

/** Which worker an event is about. */
export function told({ number, pid, generation }: { number: number; pid: number; generation: number }): Told {
  return { worker: number, pid, generation }
}
