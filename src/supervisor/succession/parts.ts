import type { Dispatcher } from '../../dispatch/dispatcher.js'
import type { Generations } from '../generations/generations.js'
import type { PortRegistry } from '../ports/port-registry.js'
import type { Setbacks } from '../setbacks.js'
import type { SlotOwner } from '../workers/slot.js'
import type { StartUp } from '../workers/start-up.js'
import type { TicketSecrets } from '../workers/ticket-secrets.js'

/** What a supervisor is made of, as far as another can go on with it. */
export interface Parts {
  readonly dispatcher: Dispatcher
  readonly generations: Generations
  readonly ports: PortRegistry
  readonly setbacks: Setbacks
  readonly tickets: TicketSecrets | null
  readonly startUp: StartUp
  readonly slotOwner: SlotOwner
}
