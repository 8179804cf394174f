import type { Arrivals } from '../transport/arrivals.js'
import type { Route } from '../transport/route.js'
import type { Chooser } from './policy.js'
import { rendezvous } from './rendezvous.js'
import type { Target } from './target.js'

/**
 * Makes a chooser keep to where a connection is routed: to its group, there to the worker it names or the one its key
 * leads to, else to whom the policy chooses. What has no group goes to targets of none.
 * @param allGrouped  there are never targets of no group: what has none goes to any
 * @returns as a Chooser, or -1: nobody of them has room
 */
export function routed(choose: Chooser, allGrouped: boolean): Chooser {
  let allowed = new Int32Array(0)
  return (targets, budgets, arrivals: Arrivals, index) => {
    const route = arrivals.note(index)?.route
    const group = route?.group ?? null
    if (allowed.length !== targets.length) allowed = new Int32Array(targets.length)
    if (restrict(targets, budgets, allowed, group, allGrouped) === 0) return -1
    const wanted = route === undefined ? -1 : named(targets, allowed, route)
    return wanted >= 0 ? wanted : choose(targets, allowed, arrivals, index)
  }
}

/** @returns how many targets may have it */
function restrict(
  targets: readonly Target[],
  budgets: Int32Array,
  allowed: Int32Array,
  group: string | null,
  allGrouped: boolean,
): number {
  // Not whoever is there now: while the only one of no group is started anew, its connections are not the groups'.
  const anywhere = group === null && allGrouped
  let count = 0
  for (let at = 0; at < targets.length; at++) {
    const budget = budgets[at] as number
    const may = budget > 0 && (anywhere || (targets[at] as Target).group === group)
    allowed[at] = may ? budget : 0
    if (may) count += 1
  }
  return count
}

function named(targets: readonly Target[], allowed: Int32Array, { worker, key }: Route): number {
  const at = worker === undefined ? -1 : targets.findIndex(({ id }, i) => id === worker && (allowed[i] as number) > 0)
  return at >= 0 || key === undefined ? at : rendezvous(key, targets, allowed)
}
