import { addressKeyOf } from '../handshake/address-key.js'
import type { Arrivals, Connection } from '../transport/arrivals.js'
import { rendezvous } from './rendezvous.js'
import type { Target, TargetStatus } from './target.js'

/**
 * A policy of the user's own: sees where a connection comes from and every target's status, and names one by id.
 * Naming none, or one without room, leaves the choice to `least-connections`.
 */
export type PolicyFunction = (connection: Connection, targets: readonly TargetStatus[]) => string | undefined

export type PolicyName = 'least-connections' | 'round-robin' | 'client-address'

export type Policy = PolicyName | PolicyFunction

export const policyNames: readonly PolicyName[] = ['least-connections', 'round-robin', 'client-address']

/**
 * Picks the target for a row of a batch.
 * @param budgets  how many more each target may be given; at least one is above 0
 * @returns an index into `targets` whose budget is above 0
 */
export type Chooser = (targets: readonly Target[], budgets: Int32Array, arrivals: Arrivals, index: number) => number

/** Fewest of queued + unclaimed + open; equals take turns, so that an idle service does not wear out one worker. */
function leastConnections(): Chooser {
  let turn = 0
  return (targets, budgets) => {
    let best = -1
    let bestLoad = Number.POSITIVE_INFINITY
    for (let step = 0; step < targets.length; step++) {
      const at = (turn + step) % targets.length
      if ((budgets[at] as number) <= 0) continue
      const { load } = targets[at] as Target
      if (load < bestLoad) {
        best = at
        bestLoad = load
      }
    }
    turn = best + 1
    return best
  }
}

/** One after the other, skipping whoever has no room. */
function roundRobin(): Chooser {
  let turn = 0
  return (targets, budgets) => {
    for (let step = 0; ; step++) {
      const at = (turn + step) % targets.length
      if ((budgets[at] as number) <= 0) continue
      turn = at + 1
      return at
    }
  }
}

/** The same target for the same client, as long as the targets are the same; who has no address goes where few are. */
function clientAddress(): Chooser {
  const key = addressKeyOf({})
  const fallback = leastConnections()
  return (targets, budgets, arrivals, index) => {
    const address = key(arrivals.describe(index))
    return address === undefined ? fallback(targets, budgets, arrivals, index) : rendezvous(address, targets, budgets)
  }
}

/** Asks the user's function; whatever it does, a target with room is chosen. `failed` hears what it threw. */
function custom(policy: PolicyFunction, failed: (error: unknown) => void): Chooser {
  const fallback = leastConnections()
  return (targets, budgets, arrivals, index) => {
    try {
      const id = policy(
        arrivals.describe(index),
        targets.map((target) => target.status()),
      )
      const at = id === undefined ? -1 : targets.findIndex((target) => target.id === id)
      if (at >= 0 && (budgets[at] as number) > 0) return at
    } catch (error) {
      failed(error)
    }
    return fallback(targets, budgets, arrivals, index)
  }
}

/** @throws {TypeError} neither a known name nor a function */
export function chooserOf(policy: Policy, failed: (error: unknown) => void): Chooser {
  if (typeof policy === 'function') return custom(policy, failed)
  if (policy === 'least-connections') return leastConnections()
  if (policy === 'round-robin') return roundRobin()
  if (policy === 'client-address') return clientAddress()
  throw new TypeError(`policy: one of ${policyNames.join(', ')} or a function, not ${JSON.stringify(policy)}`)
}
