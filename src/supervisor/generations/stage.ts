import { HandoverError, type HandoverErrorCode, type SyscallError } from '../../errors.js'
import type { SupervisorEvents } from '../events.js'
import type { PortRegistry } from '../ports/port-registry.js'
import type { Slot, SlotOwner } from '../workers/slot.js'
import type { WorkerEnd } from '../workers/worker.js'
import type { ExplicitReady } from './explicit-ready.js'
import type { Generation } from './generation.js'
import type { LastOutput } from './last-output.js'
import { Roles } from './roles.js'

type ReloadEvent =
  | 'queued'
  | 'scaled'
  | 'reloading'
  | 'switched'
  | 'rolled'
  | 'healthy'
  | 'rolledBack'
  | 'notReloaded'
  | 'reloaded'
  | 'replaced'

/** Tells of a step of a reload. */
export type TellReload = <Name extends ReloadEvent>(name: Name, event: SupervisorEvents[Name][0]) => void

/** Whoever waits for new workers to be ready, or to stay healthy. */
export interface Watch {
  /** A worker listens on a port more, or less. */
  step(): void
  /** A worker is gone. @param refusal  why it got no port */
  ended(slot: Slot, end: WorkerEnd, refusal: SyscallError | undefined): void
  /** The new workers are not to take over. */
  fail(reason: Error): void
  /** Everything ends. */
  cancel(reason: Error): void
}

/** Why new workers do not take over, and which of them are to blame. */
export class Failure extends Error {
  readonly slots: readonly Slot[]

  constructor(why: string, slots: readonly Slot[], cause?: Error) {
    super(why, cause === undefined ? {} : { cause })
    this.slots = slots
  }
}

/** What all changes of generations share: who is there, who serves, and who is to be told. */
export class Stage {
  readonly owner: SlotOwner
  readonly ports: PortRegistry
  readonly roles: Roles
  readonly output: LastOutput
  readonly explicit: ExplicitReady
  readonly tell: TellReload
  /** All that have workers, oldest first. */
  readonly all = new Set<Generation>()
  /** Of the change that is under way; null: there is none. */
  watch: Watch | null = null
  stopped = false

  constructor(owner: SlotOwner, ports: PortRegistry, output: LastOutput, explicit: ExplicitReady, tell: TellReload) {
    this.owner = owner
    this.ports = ports
    this.roles = new Roles(ports)
    this.output = output
    this.explicit = explicit
    this.tell = tell
  }

  /** The places of a generation that do not leave. */
  kept(generation: Generation): Slot[] {
    return generation.slots.filter((slot) => this.roles.isKept(slot))
  }

  /** Accepts what waits at those of some ports that none but these served: their clients came in time for them. */
  acceptWaiting(ports: readonly number[], leaving: readonly Slot[]): void {
    const slots = [...this.all].flatMap((generation) => [...generation.slots])
    const others = this.ports.portsOf(slots.filter((slot) => this.roles.serves(slot) && !leaving.includes(slot)))
    for (const id of ports) if (!others.includes(id)) this.ports.acceptWaiting(id)
  }

  /** Ends a generation and all that was only its own. */
  async end(generation: Generation, milliseconds: number, successor = false): Promise<void> {
    for (const slot of generation.slots) this.roles.leave(slot)
    await generation.stop(milliseconds, successor)
    for (const slot of generation.slots) this.ports.forget(slot)
    this.all.delete(generation)
  }

  /** The same for one place. */
  async endSlot(generation: Generation, slot: Slot, milliseconds: number, successor = false): Promise<void> {
    this.roles.leave(slot)
    await slot.stop(milliseconds, successor)
    this.ports.forget(slot)
    generation.remove(slot)
  }

  /** What a change rejects with: a failure of workers with their last output, anything else as it is. */
  async error(reason: Error, code: HandoverErrorCode): Promise<Error> {
    if (!(reason instanceof Failure)) return reason
    const output = await this.output.of(reason.slots)
    const { cause, message } = reason
    return new HandoverError(code, message, cause === undefined ? { output } : { cause, output })
  }
}

export function stopped(): HandoverError {
  return new HandoverError('ERR_HANDOVER_STOPPED', 'the supervisor is being stopped')
}
