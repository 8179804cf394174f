/**
 * The words between a master and its workers, as JSON in message frames. A word that one side does not know is
 * ignored, so that two releases can talk.
 */

/** Worker → master: open a listening port, or share the one that another worker opened. */
export interface ListenRequest {
  type: 'listen'
  id: number
  /** A numeric address, '' for "any address", or a UNIX path when `port` is null. */
  host: string
  port: number | null
  backlog: number
  ipv6Only: boolean
  reusePort: boolean
  /** The how-manieth `port: 0` of this host the worker asks for: makes workers agree. */
  nth: number
  /** The worker's file mode creation mask, for a path. */
  umask: number
}

/** Master → worker: the ports now served, by the master's numbers. `address` of the first; null for a UNIX path. */
export interface ListenReply {
  type: 'listening'
  reply: number
  ports: number[]
  /** Milliseconds within which the master wants to know of closed connections; 0: at the end of each turn. */
  statusDelay: number
  /** The worker accepts from these ports by itself, while it has less than so many connections; null: no limit. */
  most?: number | null
  address: { address: string; family: 'IPv4' | 'IPv6'; port: number } | null
}

/** Master → worker: the request failed with this system error, by name, as numbers differ between platforms. */
export interface FailureReply {
  type: 'failed'
  reply: number
  code: string
}

/** Worker → master: change the mode of a UNIX port's file (`readableAll`, `writableAll`). */
export interface ChmodRequest {
  type: 'chmod'
  id: number
  port: number
  mode: number
  /** Whether the bits that are there stay. */
  keep: boolean
}

export interface DoneReply {
  type: 'done'
  reply: number
}

/** Worker → master: the application closed this port. */
export interface CloseNotice {
  type: 'close'
  port: number
}

/** Worker → master: serve every port that the master has opened itself (`serve(server)` without an address). */
export interface ServeRequest {
  type: 'serve'
  id: number
}

/** Master → worker: take nothing new, finish what is open, end within `milliseconds`. */
export interface DrainOrder {
  type: 'drain'
  milliseconds: number
  /** Workers of a newer generation serve the same ports already. */
  successor?: boolean
}

/**
 * Master → worker: what keys for TLS session tickets are made of, in base64, newest first; in place of those before. A
 * worker's tickets are sealed with the first and opened with any.
 */
export interface TicketsOrder {
  type: 'tickets'
  keys: string[]
}

/**
 * Worker → whoever is the supervisor now, over its control socket: its master is gone, and it serves what it has open until
 * it is told to drain (`DrainOrder`), or for half a minute.
 */
export interface OrphanNotice {
  type: 'orphan'
  worker: number
  generation: number
  pid: number
  /** Connections. */
  open: number
}

/** @returns null: it is none */
export function asOrphan(value: unknown): OrphanNotice | null {
  const { type, worker, generation, pid, open } = (value ?? {}) as Partial<OrphanNotice>
  const numbers = [worker, generation, pid, open].every((one) => Number.isSafeInteger(one) && (one as number) >= 0)
  return type === 'orphan' && numbers ? (value as OrphanNotice) : null
}

/** Worker → master: nothing is open any more. */
export interface DrainedNotice {
  type: 'drained'
}

/** Worker → master: the time to drain is up, and so many connections are cut. */
export interface CutNotice {
  type: 'cut'
  connections: number
}

/** Master → worker, of a connection, behind the descriptors of transports. What is not known is ignored. */
export interface ArrivalDetails {
  /** What a proxy in front said: two ends, as `[address, port]`, and fields of its header, as `[type, base64]`. */
  proxied?: unknown
}

/** Master → worker: accept from this port no more, close what you have of it, keep its connections. */
export interface RefrainOrder {
  type: 'refrain'
  port: number
  /** Nobody else will accept: take what waits first. */
  last: boolean
}

/** Worker → master: there was no free descriptor for a port that it was to accept from. */
export interface NoPortNotice {
  type: 'noPort'
  port: number
}

/** Worker → master: the program takes connections from others, and so far has asked for no port: it waits for nothing else. */
export interface ReadyNotice {
  type: 'ready'
}

/** Master → worker: say every so often that the event loop turns, and what it takes. */
export interface HeartbeatOrder {
  type: 'heartbeat'
  milliseconds: number
}

/** Worker → master: the event loop turns. */
export interface BeatNotice {
  type: 'beat'
  /** Milliseconds by which the loop was late at worst since the last one. */
  lag: number
  /** Bytes: resident memory of a process; of a thread what its heap and buffers hold. */
  memory: number
  /** Bytes of its heap that are in use. */
  heap: number
  /** Milliseconds of processor time since it started. */
  cpu: number
}

/** Either way: a message of the program's own. */
export interface ProgramMessage {
  type: 'message'
  message: unknown
  /** To a worker: the place of the worker that broadcast it; left out: the master. */
  from?: number
}

/** Worker → master: a message of the program's own to all other workers. */
export interface BroadcastRequest {
  type: 'broadcast'
  message: unknown
}

/** Worker → master: the program called `worker.ready()`; the master may wait for that (`readiness.explicit`). */
export interface AppReadyNotice {
  type: 'appReady'
}

/** Worker → master: the names of connections that it takes from others, all of them. */
export interface TakesNotice {
  type: 'takes'
  names: readonly string[]
}

/**
 * The message of an offer by which a worker hands a connection over. The master passes it on as it is. One thing goes with
 * it, the connection, and behind it, where there is one, its state: a thing without descriptors whose bytes are JSON.
 */
export interface HandOverMessage {
  type: 'handOver'
  /** What the receiver takes it as. */
  as?: string
  /** Or: the master's numbers of ports, one of which the receiver is to serve it for. */
  ports?: readonly number[]
  /** Who is to have it. Default: any other worker. */
  to?: { readonly [what in 'group' | 'worker' | 'key']?: string | undefined } & { readonly master?: true }
}

/** The kind of that second thing. */
export const STATE_KIND = 'state'

/** @returns null: it is none that this release understands */
export function asHandOver(value: unknown): HandOverMessage | null {
  const { type, as, ports, to = {} } = (value ?? {}) as Partial<HandOverMessage>
  const named = as === undefined || typeof as === 'string'
  const numbered = ports === undefined || (Array.isArray(ports) && ports.every((port) => Number.isInteger(port)))
  const directed =
    typeof to === 'object' &&
    to !== null &&
    [to.group, to.worker, to.key].every((one) => one === undefined || typeof one === 'string')
  const shaped = type === 'handOver' && named && numbered && directed && (as === undefined) !== (ports === undefined)
  return shaped ? (value as HandOverMessage) : null
}

export type FromWorker =
  | ListenRequest
  | ChmodRequest
  | CloseNotice
  | ServeRequest
  | DrainedNotice
  | CutNotice
  | TakesNotice
  | NoPortNotice
  | ReadyNotice
  | BeatNotice
  | ProgramMessage
  | BroadcastRequest
  | AppReadyNotice

export type Reply = ListenReply | FailureReply | DoneReply

export type FromMaster = Reply | DrainOrder | TicketsOrder | HeartbeatOrder | ProgramMessage | RefrainOrder
