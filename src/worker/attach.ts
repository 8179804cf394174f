import { isMainThread } from 'node:worker_threads'
import { hasInherited } from '../bootstrap/inherit.js'
import { DRAIN_DEFAULT } from '../limits.js'
import { watchTicketKeys } from '../runtime/node-tls.js'
import type { DrainOrder } from '../wire/control.js'
import { drain } from './drain.js'
import { MasterLink } from './master-link.js'

/** The link is the process's (or thread's) own, even where two copies of this package are loaded. */
const KEY = Symbol.for('handover.master-link')
const global = globalThis as { [KEY]?: MasterLink }

// Before the program can make a server: what it does about tickets of TLS is its own.
if (hasInherited()) watchTicketKeys()

/** Whether this process (or thread) has a link to a master already. */
export function isAttached(): boolean {
  return global[KEY] !== undefined
}

/** The link to the master, made at the first call; null in a program that was started without one. */
export function attachedMaster(): MasterLink | null {
  const known = global[KEY]
  if (known !== undefined) return known
  if (!hasInherited()) return null
  let draining = false
  // Loaded while it is known to be there: when it is needed another release may stand in its place.
  const waiting = process.env.HANDOVER_ORPHANS === 'wait' && isMainThread ? import('./orphan.js') : null
  const startDrain = (order: DrainOrder): void => {
    if (draining) return
    draining = true
    drain(link, order, !isMainThread)
  }
  const link: MasterLink = new MasterLink({
    drain: startDrain,
    orphaned: () => {
      // Nobody sends connections any more: what is open is finished, as after an orderly stop.
      const drained = { type: 'drain', milliseconds: DRAIN_DEFAULT } as const
      if (waiting === null || draining) return startDrain(drained)
      void waiting
        .then(({ untilSuccessor }) => untilSuccessor(() => link.open))
        .then(startDrain, () => startDrain(drained))
    },
  })
  global[KEY] = link
  return link
}
