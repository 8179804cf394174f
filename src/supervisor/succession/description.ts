/**
 * What a supervisor tells its successor. All of it is JSON; a descriptor stands in it as its index among those that come
 * behind it. docs/upgrade.md describes it.
 */
import { HandoverError } from '../../errors.js'
import type { ListenOptions } from '../../transport/listening-port.js'
import type { WireProxied } from '../../transport/proxied.js'
import type { Route } from '../../transport/route.js'
import type { ReadyState } from '../generations/explicit-ready.js'
import type { Standing } from '../generations/generation.js'
import type { SettledReadiness } from '../generations/generation-options.js'
import type { Place } from '../generations/places.js'
import type { DistributionMode } from '../ports/distribution-options.js'
import type { SlotRecord } from '../workers/slot-record.js'
import type { Program } from '../workers/worker.js'

/** Raised whenever a successor of before could misunderstand it. */
export const SUCCESSION_VERSION = 1

/** The environment variable by which a program knows that it is to take over. */
export const SUCCESSION_VARIABLE = 'HANDOVER_SUCCESSION'

export interface OutputRecord {
  readonly at: number
  /** What was read and is no line yet: bytes, in base64. */
  readonly rest: string
}

/** Where the descriptors of a worker are. */
export interface WorkerThings {
  readonly socket: number
  /** Null: the system has none. */
  readonly pidfd: number | null
  readonly stdout: OutputRecord | null
  readonly stderr: OutputRecord | null
}

/** Of a place its program is told by the index among the programs. */
export interface PlaceRecord extends Omit<Place, 'program'> {
  readonly program: number
}

/** A slot, with the worker in it. */
export interface SlotEntry {
  readonly place: PlaceRecord
  /** New connections are its own; or it finishes what it has. */
  readonly role: 'serving' | 'leaving'
  /** What its worker has done of what makes it ready. */
  readonly ready: ReadyState
  readonly slot: SlotRecord
  /** Null: it has no worker now. */
  readonly things: WorkerThings | null
}

export interface GenerationRecord extends Standing {
  readonly number: number
  readonly readiness: SettledReadiness
  /** As they were asked for. */
  readonly places: readonly PlaceRecord[]
  /** Those that leave too, which are no places any more. */
  readonly slots: readonly SlotEntry[]
}

/** One of a port's sockets. */
export interface SocketRecord {
  /** The place it is for; null: nobody's yet, or everybody's. */
  readonly place: string | null
  /** The name that a keeper of ports keeps it under; null: none does. */
  readonly kept: string | null
  readonly path: string | null
  readonly options: ListenOptions | null
  /** The first is the one that listens; clients may wait in the others. */
  readonly descriptors: readonly number[]
}

export interface PortRecord {
  readonly id: number
  readonly key: string
  readonly host: string
  readonly own: boolean
  readonly mode: DistributionMode
  readonly options: ListenOptions
  /** In order: the kernel chooses among them by it. */
  readonly sockets: readonly SocketRecord[]
  /** Which slots listen there: indexes among those of all generations, in order. */
  readonly users: readonly number[]
}

/** A connection that no worker has. */
export interface WaitingRecord {
  readonly port: number
  readonly descriptor: number
  /** Null: nobody has looked at it, or it was not decided. */
  readonly route: Route | null
  readonly proxied: WireProxied | null
}

export interface Description {
  readonly type: 'succession'
  readonly version: number
  /** Of the process that has all this. */
  readonly pid: number
  /** Whoever has all of this and finds the process dead takes over: it ends whoever it does not want to, first. */
  readonly orphan: boolean
  readonly dispatched: number
  /** Left out by older releases. */
  readonly accepted?: number
  readonly setbacks: Readonly<Record<string, number>>
  /** Secrets of session tickets, in base64, newest first; null: there are none. */
  readonly tickets: readonly string[] | null
  readonly programs: readonly Program[]
  readonly generations: readonly GenerationRecord[]
  readonly current: number
  readonly last: number
  readonly ports: readonly PortRecord[]
  readonly waiting: readonly WaitingRecord[]
  /** Other descriptors that go along, by name. */
  readonly along: readonly (readonly [name: string, at: number])[]
  /** How many descriptors come. */
  readonly descriptors: number
}

/** Predecessor → successor, behind the description: the descriptors, in order, so many at a time. */
export interface DescriptorsWord {
  readonly type: 'descriptors'
  readonly from: number
}

/** Successor → predecessor: all of it is made, and can be gone on with. */
export interface ReadyWord {
  readonly type: 'ready'
  readonly pid: number
  readonly workers: number
  readonly ports: number
}

/** Predecessor → successor: it is yours. */
export interface CommitWord {
  readonly type: 'commit'
}

/** Successor → predecessor: why not. */
export interface FailedWord {
  readonly type: 'failed'
  readonly message: string
}

/** @throws {HandoverError} ERR_HANDOVER_VERSION; ERR_HANDOVER_BAD_FRAME: it is no description */
export function asDescription(message: unknown): Description {
  const { type, version, descriptors } = (message ?? {}) as Partial<Description>
  if (type !== 'succession' || !Number.isInteger(version) || !Number.isInteger(descriptors)) {
    throw new HandoverError('ERR_HANDOVER_BAD_FRAME', 'the predecessor described nothing')
  }
  if (version === SUCCESSION_VERSION) return message as Description
  const both = `version ${version}, where version ${SUCCESSION_VERSION} is understood`
  throw new HandoverError('ERR_HANDOVER_VERSION', `the predecessor describes itself in ${both}`)
}
