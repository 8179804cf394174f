import { randomBytes } from 'node:crypto'
import { TICKET_SECRET_BYTES, TICKET_SECRETS_KEPT } from '../../limits.js'
import type { TicketsOrder } from '../../wire/control.js'

/**
 * What all workers of all generations make their keys for TLS session tickets of. New ones come at an interval; those
 * before are kept for a while, so that tickets outlive a rotation, and then forgotten, so that whoever gets hold of
 * this process's memory cannot read older connections. They are nowhere but in memory.
 */
export class TicketSecrets {
  readonly #interval: number
  readonly #rotated: () => void
  #secrets: Buffer[] = [randomBytes(TICKET_SECRET_BYTES)]
  #timer: NodeJS.Timeout | null = null

  /**
   * @param interval  milliseconds between rotations
   * @param rotated  workers must be told
   */
  constructor(interval: number, rotated: () => void) {
    this.#interval = interval
    this.#rotated = rotated
  }

  /** What to tell a worker. */
  get order(): TicketsOrder {
    return { type: 'tickets', keys: this.#secrets.map((secret) => secret.toString('base64')) }
  }

  /** Tells a worker. One that does not read, and for whom so much waits that no more may, learns the next ones. */
  tell(worker: { tell(order: TicketsOrder): unknown }): void {
    try {
      worker.tell(this.order)
    } catch {}
  }

  /** Goes on with what somebody else told workers. */
  resume(keys: readonly string[]): void {
    this.#secrets = keys.map((key) => Buffer.from(key, 'base64'))
  }

  start(): void {
    this.#timer = setInterval(() => this.#rotate(), this.#interval)
    this.#timer.unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  #rotate(): void {
    this.#secrets.unshift(randomBytes(TICKET_SECRET_BYTES))
    for (const old of this.#secrets.splice(TICKET_SECRETS_KEPT)) old.fill(0)
    this.#rotated()
  }
}
