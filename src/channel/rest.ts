import type { Hello } from '../wire/hello.js'
import type { Counters } from './counters.js'
import type { Deliveries } from './deliveries.js'
import type { Inbox } from './inbox.js'
import type { Outbox } from './outbox.js'

/**
 * All that one side of a link knows and its socket does not, in a moment in which nothing is on its way here: everything
 * that was given is with the kernel and claimed, everything that was read was heard. With it and the socket the link goes
 * on elsewhere. JSON.
 */
export interface LinkState extends Counters {
  /** What the peer said of itself. */
  readonly peer: Hello
  /** Descriptors with sequence numbers that came. */
  readonly received: number
}

/** The state of a link that is at rest; null: it is not, or has not heard the peer's hello yet. */
export function restOf(
  peer: Hello | null,
  outbox: Outbox,
  inbox: Inbox,
  deliveries: Pick<Deliveries, 'count'>,
): LinkState | null {
  const { held } = outbox
  const quiet = outbox.idle && held.taken === held.settled && deliveries.count === 0 && inbox.isBetweenFrames
  if (peer === null || !quiet) return null
  return { peer, received: inbox.sequence, ...outbox.counters }
}
