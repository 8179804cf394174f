import { closeMany } from '../../syscalls/descriptor.js'
import { pidfdOpen } from '../../syscalls/pidfd.js'
import { encodeProxied } from '../../transport/proxied.js'
import type { Generation } from '../generations/generation.js'
import type { Place } from '../generations/places.js'
import type { Slot } from '../workers/slot.js'
import type { HeldWorker, SlotRecord } from '../workers/slot-record.js'
import type { Program } from '../workers/worker.js'
import {
  type Description,
  type GenerationRecord,
  type OutputRecord,
  type PlaceRecord,
  type PortRecord,
  type SlotEntry,
  SUCCESSION_VERSION,
  type WaitingRecord,
  type WorkerThings,
} from './description.js'
import type { Frozen } from './frozen.js'
import type { Parts } from './parts.js'

/** What a frozen supervisor is, in words and descriptors. */
export interface Inventory {
  readonly description: Description
  /** Borrowed. */
  readonly descriptors: readonly number[]
  /** Closes what was opened for it alone. */
  close(): void
}

/** Other descriptors, by name. Borrowed. */
export type Along = Readonly<Record<string, number>>

/** Borrows everything. @throws {SyscallError} EMFILE: no descriptors to watch workers with */
export function describe(parts: Parts, frozen: Frozen, orphan: boolean, along: Along = {}): Inventory {
  const descriptors: number[] = []
  const opened: number[] = []
  const add = (descriptor: number): number => descriptors.push(descriptor) - 1
  const pidfdOf = (pid: number): number | null => {
    try {
      opened.push(pidfdOpen(pid)) // our own child: its pid is nobody else's before its end was heard of
      return add(opened.at(-1) as number)
    } catch (error) {
      if (['ENOSYS', 'ESRCH'].includes((error as { code: string }).code)) return null
      throw error
    }
  }
  const output = (state: HeldWorker['stdout']): OutputRecord | null =>
    state && { at: add(state.descriptor), rest: state.rest }
  const things = ({ pid, pidfd, socket, stdout, stderr }: HeldWorker): WorkerThings => ({
    socket: add(socket),
    pidfd: pidfd === null ? pidfdOf(pid) : add(pidfd),
    stdout: output(stdout),
    stderr: output(stderr),
  })
  const programs = new Map<string, { index: number; program: Program }>()
  const indexOf = (program: Program): number => {
    const key = JSON.stringify(program) // each place has a copy
    const known = programs.get(key) ?? { index: programs.size, program }
    programs.set(key, known)
    return known.index
  }
  const placed = ({ program, ...place }: Place): PlaceRecord => ({ ...place, program: indexOf(program) })
  const { roles, explicit } = parts.generations.stage
  const slotEntry = (slot: Slot): SlotEntry => {
    const held = frozen.workers.get(slot)
    return {
      place: placed(slot.place),
      role: roles.serves(slot) ? 'serving' : 'leaving',
      ready: explicit.state(slot.target),
      slot: slot.record as SlotRecord,
      things: held ? things(held) : null,
    }
  }
  const generation = ({ number, readiness, record, places, slots }: Generation): GenerationRecord => ({
    number,
    readiness,
    ...record,
    places: places.map(placed),
    slots: slots.map(slotEntry),
  })
  try {
    const { generations, dispatcher, setbacks, tickets } = parts
    const described = {
      type: 'succession' as const,
      version: SUCCESSION_VERSION,
      pid: process.pid,
      orphan,
      dispatched: dispatcher.dispatched,
      accepted: parts.ports.accepted,
      setbacks: { ...setbacks.counts },
      tickets: tickets?.order.keys ?? null,
      generations: [...generations.stage.all].map(generation),
      programs: [...programs.values()].map(({ program }) => program),
      current: generations.current.number,
      last: generations.last,
      ports: portsOf(parts, add),
      waiting: waitingOf(parts, add),
      along: Object.entries(along).map(([name, descriptor]) => [name, add(descriptor)] as const),
    }
    return {
      description: { ...described, descriptors: descriptors.length },
      descriptors,
      close: () => closeMany(Int32Array.from(opened.splice(0))),
    }
  } catch (error) {
    closeMany(Int32Array.from(opened))
    throw error
  }
}

function portsOf({ ports, generations }: Parts, add: (descriptor: number) => number): PortRecord[] {
  const { slots } = generations
  const indexes = new Map<object, number>(slots.map((slot, index) => [slot, index]))
  return ports.entries.map(({ id, key, host, own, port: whole, users: places }) => ({
    id,
    key,
    host,
    own,
    mode: whole.mode,
    options: whole.options,
    sockets: whole.sockets.map(({ port, place }) => ({
      place,
      kept: ports.keptAs(port),
      path: port.path,
      options: port.options,
      descriptors: port.descriptors.map(add),
    })),
    users: [...places].map((user) => indexes.get(user)).filter((index) => index !== undefined),
  }))
}

function waitingOf({ dispatcher }: Parts, add: (descriptor: number) => number): WaitingRecord[] {
  return dispatcher.lanes.flatMap(({ id: port, waiting, handshake }) => [
    ...waiting.rows.map(({ descriptor, note }) => ({
      port,
      descriptor: add(descriptor),
      route: note?.route ?? null,
      proxied: note?.proxied ? encodeProxied(note.proxied) : null,
    })),
    ...(handshake?.undecided ?? []).map(({ descriptor }) => ({
      port,
      descriptor: add(descriptor),
      route: null,
      proxied: null,
    })),
  ])
}
