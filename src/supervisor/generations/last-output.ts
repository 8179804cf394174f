import { LAST_LINE_LENGTH, LAST_LINES_MAX } from '../../limits.js'
import type { Slot } from '../workers/slot.js'

/** Remembers the last lines that the workers of each place wrote: whoever hears that a reload failed wants to know. */
export class LastOutput {
  readonly #lines = new WeakMap<Slot, string[]>()

  add(slot: Slot, text: string): void {
    const lines = this.#lines.get(slot) ?? []
    this.#lines.set(slot, lines)
    lines.push(text.slice(0, LAST_LINE_LENGTH))
    if (lines.length > LAST_LINES_MAX) lines.shift()
  }

  /** Of one place. */
  lines(slot: Slot): readonly string[] {
    return this.#lines.get(slot) ?? []
  }

  /** Of these places, one after the other, each line behind the worker's number; settles when what they wrote was read. */
  async of(slots: readonly Slot[]): Promise<string[]> {
    await Promise.all(slots.filter(({ state }) => state === 'stopped').map(({ outputRead }) => outputRead))
    return slots.flatMap((slot) => this.lines(slot).map((text) => `[${slot.number}] ${text}`))
  }
}
