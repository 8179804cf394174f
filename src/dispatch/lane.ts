import type { Handshake } from '../handshake/handshake.js'
import type { Acceptor } from '../transport/acceptor.js'
import { WaitingArrivals } from '../transport/arrivals.js'
import type { Target } from './target.js'

/** One listening port, who serves it, and the connections that wait for a target: given back by one, or just decided. */
export class Lane {
  readonly targets: Target[] = []
  readonly waiting = new WaitingArrivals()
  /** Looks at connections before they are given to a target; null: nobody does. */
  handshake: Handshake | null = null
  budgets = new Int32Array(0)
  paused = true
  retired = false
  busy = false
  /** Nothing is accepted, decided or given: another process may do it. */
  frozen = false
  retry: NodeJS.Timeout | null = null
  /** Until those that wait for room in their group have waited long enough. */
  patience: NodeJS.Timeout | null = null

  constructor(
    readonly id: number,
    readonly port: Acceptor,
  ) {}

  /** Asks every target for its room once per batch; the chooser lowers these numbers as it gives. */
  refreshBudgets(most: number): number {
    if (this.budgets.length !== this.targets.length) this.budgets = new Int32Array(this.targets.length)
    let room = 0
    for (let i = 0; i < this.targets.length; i++) {
      const budget = Math.max(0, Math.min(most, (this.targets[i] as Target).room))
      this.budgets[i] = budget
      room += budget
    }
    return Math.min(most, room)
  }

  /** How many connections its targets may be given now. */
  get room(): number {
    return this.targets.reduce((sum, target) => sum + target.room, 0)
  }

  /** The same with nothing open. */
  get capacity(): number {
    return this.targets.reduce((sum, target) => sum + target.capacity, 0)
  }

  /** Its port is not polled: clients wait in the kernel's queue. */
  pause(): void {
    if (this.paused) return
    this.paused = true
    this.port.pause()
  }

  freeze(frozen: boolean): void {
    this.frozen = frozen
    if (frozen) this.pause()
    this.handshake?.hold(frozen)
  }

  /** Nothing more is given to anybody. */
  close(): void {
    if (this.retry !== null) clearTimeout(this.retry)
    if (this.patience !== null) clearTimeout(this.patience)
    if (!this.retired) this.port.pause()
    this.handshake?.close()
    this.handshake = null
    this.waiting.close()
  }
}
