import { Dispatcher } from '../dispatch/dispatcher.js'
import { STATUS_DELAY } from '../limits.js'
import type { SupervisorEvents } from './events.js'
import type { SettledOptions } from './options.js'
import { PortRegistry } from './ports/port-registry.js'
import type { Setbacks } from './setbacks.js'

type Tell = <Name extends 'exhausted' | 'policyError'>(name: Name, event: SupervisorEvents[Name][0]) => void

/** The dispatcher of a supervisor with these options. */
export function dispatcherOf({ places, maxTotal, policy }: SettledOptions, setbacks: Setbacks, tell: Tell): Dispatcher {
  return new Dispatcher({
    policy,
    limit: maxTotal,
    allGrouped: places.every(({ group }) => group !== null),
    onExhausted: (error) => tell('exhausted', { error }),
    onPolicyError: (error) => tell('policyError', { error }),
    onSetback: (setback, reason, connections, of) => setbacks.add(setback, reason, connections, of),
  })
}

/** Its ports. */
export function portsOf(options: SettledOptions, dispatcher: Dispatcher): PortRegistry {
  const { places, limit, maxTotal, policy, backlog, handshakes, distribution } = options
  // A limit waits for every place that becomes free, and a policy of the user's own decides by the numbers.
  const prompt = Number.isFinite(limit) || Number.isFinite(maxTotal) || typeof policy === 'function'
  const allGrouped = places.every(({ group }) => group !== null)
  const by = { rules: distribution, allGrouped, most: Number.isFinite(limit) ? limit : null }
  return new PortRegistry(dispatcher, backlog, prompt ? 0 : STATUS_DELAY, handshakes, by)
}
