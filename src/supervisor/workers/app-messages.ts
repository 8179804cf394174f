import { MESSAGES_LEAVE_FREE } from '../../limits.js'
import type { FromWorker, ProgramMessage } from '../../wire/control.js'
import { checkMessage } from '../../wire/program-message.js'
import type { SupervisorEvents } from '../events.js'
import { noPlace } from '../generations/places.js'
import type { Slot } from './slot.js'

/** The places of workers, and who is there. */
interface Places {
  readonly serving: readonly Slot[]
  hasPlace(number: number): boolean
}

/** Messages of programs between the master and its workers. */
export class AppMessages {
  readonly #places: Places
  readonly #tell: (event: SupervisorEvents['message'][0]) => void

  constructor(places: Places, tell: (event: SupervisorEvents['message'][0]) => void) {
    this.#places = places
    this.#tell = tell
  }

  /** @returns whether the word was for here */
  hears(slot: Slot, word: FromWorker): boolean {
    if (word.type === 'message') this.#tell({ worker: slot.number, generation: slot.generation, message: word.message })
    else if (word.type === 'broadcast') this.#spread(word.message, slot)
    else return false
    return true
  }

  /**
   * @returns false: no worker is there just now
   * @throws {RangeError} there is no such place
   */
  send(worker: number, message: unknown): boolean {
    const slot = this.#places.serving.find(({ number }) => number === worker)
    if (slot === undefined && !this.#places.hasPlace(worker)) throw noPlace(worker)
    const word: ProgramMessage = { type: 'message', message: checkMessage(message) }
    return slot?.tell(word, MESSAGES_LEAVE_FREE) ?? false
  }

  /** @returns how many it was sent to */
  broadcast(message: unknown): number {
    return this.#spread(checkMessage(message), null)
  }

  #spread(message: unknown, from: Slot | null): number {
    const word: ProgramMessage = { type: 'message', message, ...(from === null ? {} : { from: from.number }) }
    let count = 0
    for (const slot of this.#places.serving) {
      if (slot === from) continue
      // One that does not read is left out; it must not keep a message from the others.
      try {
        if (slot.tell(word, MESSAGES_LEAVE_FREE)) count += 1
      } catch {}
    }
    return count
  }
}
