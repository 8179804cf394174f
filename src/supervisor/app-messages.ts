import { shown } from '../arguments.js'
import { MESSAGES_LEAVE_FREE } from '../limits.js'
import type { FromWorker, ProgramMessage } from '../wire/control.js'
import { checkMessage } from '../wire/program-message.js'
import type { SupervisorEvents } from './events.js'
import type { Slot } from './slot.js'

/** Messages of programs between the master and its workers. */
export class AppMessages {
  readonly #serving: () => readonly Slot[]
  readonly #tell: (event: SupervisorEvents['message'][0]) => void

  /** @param serving  the places that serve now */
  constructor(serving: () => readonly Slot[], tell: (event: SupervisorEvents['message'][0]) => void) {
    this.#serving = serving
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
    const slot = this.#serving().find(({ number }) => number === worker)
    if (slot === undefined) throw new RangeError(`worker: the number of a place, not ${shown(worker)}`)
    return slot.tell({ type: 'message', message: checkMessage(message) }, MESSAGES_LEAVE_FREE)
  }

  /** @returns how many it was sent to */
  broadcast(message: unknown): number {
    return this.#spread(checkMessage(message), null)
  }

  #spread(message: unknown, from: Slot | null): number {
    const word: ProgramMessage = { type: 'message', message, ...(from === null ? {} : { from: from.number }) }
    let count = 0
    for (const slot of this.#serving()) {
      if (slot === from) continue
      // One that does not read is left out; it must not keep a message from the others.
      try {
        if (slot.tell(word, MESSAGES_LEAVE_FREE)) count += 1
      } catch {}
    }
    return count
  }
}
