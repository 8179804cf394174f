import { isUnixStream } from '../../bootstrap/inherit.js'
import { HandoverError } from '../../errors.js'
import type { Descriptor } from '../../sendmsg/descriptor.js'
import { close } from '../../syscalls/descriptor.js'
import { arrivalNote } from '../../transport/arrival-note.js'
import { WaitingArrivals } from '../../transport/arrivals.js'
import { ListeningPort } from '../../transport/listening-port.js'
import { decodeProxied } from '../../transport/proxied.js'
import { Generation } from '../generations/generation.js'
import type { Place } from '../generations/places.js'
import type { ResumedPort } from '../ports/port-entry.js'
import type { Slot } from '../workers/slot.js'
import type { Program } from '../workers/worker.js'
import { inheritWorker } from '../workers/worker-inherited.js'
import type {
  Description,
  GenerationRecord,
  OutputRecord,
  PlaceRecord,
  SlotEntry,
  SocketRecord,
  WaitingRecord,
  WorkerThings,
} from './description.js'
import type { Parts } from './parts.js'

/**
 * Makes of a description what its writer is: in a supervisor that has started nothing yet, and that does nothing before
 * `goOn`. Owns the descriptors from the start.
 */
export class Rebuilt {
  readonly #parts: Parts
  readonly #description: Description
  readonly #things: readonly Descriptor[]
  readonly #outputs = new Map<Slot, WorkerThings>()
  /** Of all generations, in the order in which they are described. */
  readonly #slots: Slot[] = []
  #resumed = 0

  /** @throws {HandoverError} ERR_HANDOVER_IDENTITY: something is not what it is said to be; all is closed then */
  constructor(parts: Parts, description: Description, things: readonly Descriptor[]) {
    this.#parts = parts
    this.#description = description
    this.#things = things
    parts.slotOwner.gate.close()
    try {
      this.#numbers()
      this.#generations()
      this.#ports()
      this.#kept()
    } catch (error) {
      this.discard()
      throw error
    }
  }

  get workers(): number {
    return this.#outputs.size
  }

  /** Without those that only this process has. */
  get ports(): number {
    return this.#resumed
  }

  #numbers(): void {
    const { dispatcher, ports, setbacks, tickets } = this.#parts
    const { dispatched, accepted = 0, setbacks: counts, tickets: keys } = this.#description
    dispatcher.dispatched = dispatched
    ports.accepted = accepted
    Object.assign(setbacks.counts, counts)
    if (keys !== null) tickets?.resume(keys)
  }

  #generations(): void {
    const { generations } = this.#parts
    const { current, last } = this.#description
    const all = this.#description.generations.map((record) => this.#generation(record))
    const serving = all.find(({ number }) => number === current)
    if (serving === undefined) throw notAsSaid('no generation serves')
    generations.resume(all, serving, last)
  }

  #generation(record: GenerationRecord): Generation {
    const { roles } = this.#parts.generations.stage
    const places = record.places.map((place) => this.#place(place))
    const generation = new Generation(record.number, places, record.readiness, this.#parts.slotOwner)
    generation.resume(record)
    for (const entry of record.slots) {
      const slot = generation.add(this.#place(entry.place))
      this.#slots.push(slot)
      roles.resume(slot, entry.role)
      this.#slot(slot, entry)
    }
    return generation
  }

  #place({ program, ...place }: PlaceRecord): Place {
    return { ...place, program: this.#description.programs[program] as Program }
  }

  #slot(slot: Slot, { slot: record, things, ready }: SlotEntry): void {
    if (record.worker === null || things === null) return slot.resume(record, null)
    const { pid, link } = record.worker
    if (!isUnixStream(this.#lent(things.socket))) throw notAsSaid(`the link of worker ${slot.number} is no UNIX stream`)
    const socket = this.#given(things.socket)
    const pidfd = things.pidfd === null ? null : this.#given(things.pidfd)
    slot.resume(record, inheritWorker({ pid, socket, link, pidfd }))
    if (slot.target !== null) this.#parts.generations.stage.explicit.resume(slot.target, ready)
    this.#outputs.set(slot, things)
  }

  #ports(): void {
    const { ports, dispatcher, generations } = this.#parts
    for (const { sockets, users, ...record } of this.#description.ports) {
      const slots = users.map((index) => this.#slots[index]).filter((slot) => slot !== undefined)
      const made = sockets.map((socket) => this.#socket(socket))
      const { id } = ports.resume({ ...record, sockets: made, users: new Set(slots) })
      this.#resumed += 1
      dispatcher.lanes.at(-1)?.freeze(true)
      for (const slot of slots) {
        const { target, pulse } = slot
        if (!target?.isReady || !target.served.has(id) || pulse?.hung) continue
        if (generations.serves(slot)) ports.attach(target, [id])
      }
    }
  }

  #socket({ descriptors, place, kept, path, options }: SocketRecord): ResumedPort['sockets'][number] {
    const [first, ...retired] = descriptors.map((at) => this.#given(at))
    const port = ListeningPort.adopt(first as number, {
      ...(path === null ? {} : { path }),
      ...(options === null ? {} : { opened: options }),
    })
    port.addRetired(retired)
    return { port, place, kept }
  }

  /** What is only used once it is ours is all there, each for one thing: then it is too late to find out. */
  #kept(): void {
    const { waiting, along } = this.#description
    const outputs = [...this.#outputs.values()].flatMap(({ stdout, stderr }) => [stdout?.at ?? [], stderr?.at ?? []])
    const used = [...outputs.flat(), ...waiting.map(({ descriptor }) => descriptor), ...along.map(([, at]) => at)]
    for (const at of used) this.#lent(at)
    if (new Set(used).size < used.length) throw notAsSaid('a descriptor is used twice')
    for (const { route, proxied } of waiting) if (route !== null) decodeProxied(proxied)
  }

  /** What came along, by name. Gives it. */
  along(): Map<string, Descriptor> {
    return new Map(this.#description.along.map(([name, at]) => [name, this.#things[at] as Descriptor]))
  }

  /** From now on it is ours: workers are heard, clients accepted, and connections that wait given. */
  goOn(): void {
    const { dispatcher, slotOwner } = this.#parts
    for (const record of this.#description.waiting) this.#admit(record)
    for (const [slot, things] of this.#outputs) {
      const [stdout, stderr] = [this.#output(things.stdout), this.#output(things.stderr)]
      slot.tenant?.goOn({ stdout, stderr })
    }
    for (const lane of dispatcher.lanes) lane.freeze(false)
    dispatcher.resumeAll()
    this.#finish()
    slotOwner.gate.open()
  }

  /** Ends what leaves in the time that it has left. */
  #finish(): void {
    const { stage, current } = this.#parts.generations
    const patience = new Map(
      this.#description.generations
        .flatMap(({ slots }) => slots)
        .map((entry, index) => {
          return [this.#slots[index], entry.slot.patience ?? 0] as const
        }),
    )
    const time = (slot: Slot): number => patience.get(slot) ?? 0
    for (const generation of [...stage.all]) {
      if (generation === current) {
        for (const slot of generation.slots) {
          if (!stage.roles.serves(slot)) void stage.endSlot(generation, slot, time(slot), true)
        }
        continue
      }
      const { number: previous } = generation
      const told = { generation: current.number, previous }
      void stage
        .end(generation, Math.max(0, ...generation.slots.map(time)), true)
        .then(() => stage.tell('reloaded', told))
    }
  }

  /** Nobody has looked at it, or what was found is known. */
  #admit({ port, descriptor, route, proxied }: WaitingRecord): void {
    const lane = this.#parts.dispatcher.lanes.find(({ id }) => id === port)
    const number = this.#given(descriptor)
    if (lane === undefined) return close(number)
    if (route !== null || lane.handshake === null) {
      return lane.waiting.add(number, route === null ? undefined : arrivalNote(route, decodeProxied(proxied)))
    }
    const one = new WaitingArrivals()
    one.add(number)
    lane.handshake.admit(one, 1)
  }

  #output(record: OutputRecord | null): { descriptor: number; rest: string } | null {
    return record && { descriptor: this.#given(record.at), rest: record.rest }
  }

  /** It is not ours after all: closes every copy, in silence. */
  discard(): void {
    const { generations, ports, dispatcher } = this.#parts
    for (const slot of this.#slots) slot.letGo()
    generations.letGo()
    for (const { id, port } of ports.entries) {
      dispatcher.shut(id)
      port.abandon()
    }
    for (const thing of this.#things) if (thing.fd >= 0) thing.close()
  }

  #lent(at: number): number {
    const thing = this.#things[at]
    if (thing === undefined || thing.fd < 0) throw notAsSaid(`descriptor ${at} did not come, or is used twice`)
    return thing.fd
  }

  #given(at: number): number {
    this.#lent(at)
    return (this.#things[at] as Descriptor).release()
  }
}

function notAsSaid(what: string): HandoverError {
  return new HandoverError('ERR_HANDOVER_IDENTITY', what)
}
