import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { AwakeClock } from '../../awake.js'
import { HandoverError } from '../../errors.js'
import { guarded } from '../../guarded.js'
import { SUCCESSION_INTERVAL } from '../../limits.js'
import type { Slot } from '../workers/slot.js'
import type { HeldWorker } from '../workers/slot-record.js'
import type { Parts } from './parts.js'

/**
 * A supervisor that does nothing: it accepts nobody, decides nothing, starts and ends nobody, and neither reads nor writes
 * what its workers say. All waits in the kernel, for whoever goes on.
 */
export class Frozen {
  readonly #parts: Parts
  #workers = new Map<Slot, HeldWorker>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** What is held of each worker there is. */
  get workers(): ReadonlyMap<Slot, HeldWorker> {
    return this.#workers
  }

  /**
   * Accepts nothing more, and waits until nothing is on its way between this process and its workers; then holds all.
   * @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED: something did not come to rest in time; the signal's reason
   */
  async rest(milliseconds: number, signal: AbortSignal): Promise<void> {
    const awake = new AwakeClock(10 * SUCCESSION_INTERVAL)
    for (;;) {
      signal.throwIfAborted()
      for (const lane of this.#parts.dispatcher.lanes) if (!lane.frozen) lane.freeze(true)
      const restless = this.#restless()
      if (restless.length === 0) return this.#hold()
      awake.look()
      if (awake.time > milliseconds) {
        throw new HandoverError(
          'ERR_HANDOVER_NOT_REPLACED',
          `not at rest within ${milliseconds} ms: ${restless.join('; ')}`,
        )
      }
      await delay(SUCCESSION_INTERVAL)
      await turn() // what workers said is heard first
    }
  }

  /** What is on its way still. */
  #restless(): string[] {
    const { dispatcher, generations } = this.#parts
    const workers = generations.slots.filter(({ record }) => record === null)
    const undecided = dispatcher.lanes
      .flatMap(({ handshake }) => handshake?.undecided ?? [])
      .filter((one) => !one.isUntouched)
    const { underWay } = generations
    return [
      ...(underWay === null ? [] : [underWay]),
      ...workers.map(({ number, pid }) => `worker ${number} (process ${pid}) does not answer, or is being started`),
      ...(undecided.length === 0 ? [] : [`${undecided.length} connections are undecided behind a proxy's header`]),
    ]
  }

  #hold(): void {
    this.#parts.slotOwner.gate.close()
    for (const slot of this.#parts.generations.slots) {
      const held = slot.tenant?.hold()
      if (held !== undefined) this.#workers.set(slot, held)
    }
  }

  /** @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED: it is not as it was described any more */
  check(): void {
    const changed = this.#parts.generations.slots.find(({ record }) => record === null)
    if (changed === undefined) return
    throw new HandoverError('ERR_HANDOVER_NOT_REPLACED', `worker ${changed.number} was sent something meanwhile`)
  }

  /** Goes on as if nothing had been. */
  thaw(): void {
    const { generations, dispatcher, slotOwner } = this.#parts
    for (const { tenant } of this.#workers.size > 0 ? generations.slots : []) tenant?.goOn()
    this.#workers.clear()
    for (const lane of dispatcher.lanes) lane.freeze(false)
    dispatcher.resumeAll()
    slotOwner.gate.open()
  }

  /** Another goes on: every copy here is closed in silence, and nothing is done to anybody. The gate stays closed. */
  letGo(): void {
    const { generations, ports, dispatcher, tickets } = this.#parts
    guarded(() => tickets?.stop())
    guarded(() => generations.letGo())
    for (const { id, port } of ports.entries) {
      guarded(() => dispatcher.shut(id))
      guarded(() => port.abandon())
    }
  }
}
