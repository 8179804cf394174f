import type { PortRegistry } from '../ports/port-registry.js'
import type { Slot } from '../workers/slot.js'

/** What a place for a worker is for at the moment. */
export type Role = 'preparing' | 'serving' | 'standby' | 'leaving'

/**
 * Who serves. Invariant: exactly the places that serve are attached to the ports; a worker that dies is replaced where its
 * place serves or stands by, and nowhere else.
 */
export class Roles {
  readonly #ports: PortRegistry
  readonly #roles = new WeakMap<Slot, Role>()

  constructor(ports: PortRegistry) {
    this.#ports = ports
  }

  /** What a place is for; undefined: nobody has said. */
  of(slot: Slot): Role | undefined {
    return this.#roles.get(slot)
  }

  /** Goes on with what somebody else had it for; whoever takes over attaches it. */
  resume(slot: Slot, role: Role): void {
    this.#roles.set(slot, role)
  }

  /** Whether new connections are this place's too. */
  serves(slot: Slot): boolean {
    return this.#roles.get(slot) === 'serving'
  }

  prepares(slot: Slot): boolean {
    return this.#roles.get(slot) === 'preparing'
  }

  /** Whether a worker that dies there is replaced. */
  isKept(slot: Slot): boolean {
    const role = this.#roles.get(slot)
    return role === 'serving' || role === 'standby'
  }

  prepare(slot: Slot): void {
    this.#roles.set(slot, 'preparing')
  }

  /** New connections are its own from now on, or from when its worker is ready. */
  serve(slot: Slot): void {
    this.#roles.set(slot, 'serving')
    this.#attach(slot)
  }

  /** Its worker is hung, and given nothing; or goes on. */
  suspend(slot: Slot, suspended: boolean): void {
    slot.target?.suspend(suspended)
    if (!suspended && this.serves(slot)) this.#attach(slot)
    if (suspended && slot.target !== null) this.#ports.detach(slot.target) // its queue is served by others
  }

  #attach(slot: Slot): void {
    if (slot.target === null || slot.state !== 'ready' || slot.pulse?.hung) return
    this.#ports.attach(slot.target, [...slot.target.served])
  }

  /** It gets no new connections, and goes on with those it has. */
  standBy(slot: Slot): void {
    this.#roles.set(slot, 'standby')
    if (slot.target !== null) this.#ports.detach(slot.target)
  }

  /** It is given nothing any more, for good. */
  leave(slot: Slot): void {
    this.#roles.set(slot, 'leaving')
    if (slot.target !== null) this.#ports.detach(slot.target)
    slot.retire()
  }
}
