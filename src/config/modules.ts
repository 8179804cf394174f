import { pathToFileURL } from 'node:url'
import { type Policy, type PolicyFunction, type PolicyName, policyNames } from '../dispatch/policy.js'
import type { SupervisorOptions } from '../supervisor/options.js'
import { why } from './import-module.js'
import { groupsFrom } from './paths.js'
import { UsageError } from './usage-error.js'

/** What a module of routes says: how connections are looked at, and the groups they go to. */
export type Handshakes = Pick<SupervisorOptions, 'handshake' | 'groups'>

/**
 * Loads a module whose default export is an inspection, its options, or a list of them; `groups` beside it.
 * @param source  what named it
 * @throws {UsageError} it cannot be loaded, or has none
 */
export async function loadHandshakes(path: string, source: string, cwd: string): Promise<Handshakes> {
  const { default: found, groups } = (await load(path, source)) as { default?: unknown; groups?: Handshakes['groups'] }
  if (typeof found !== 'function' && (typeof found !== 'object' || found === null)) {
    throw new UsageError(`${source} ${path} has no inspection, and no options of one, as its default export`)
  }
  const handshake = (typeof found === 'function' ? { inspect: found } : found) as Handshakes['handshake'] & object
  return { handshake, ...(groups === undefined ? {} : { groups: groupsFrom(groups, cwd) as typeof groups }) }
}

/** A policy by its name, or from a module whose default export is a function. @throws {UsageError} neither */
export async function loadPolicy(policy: Policy | string, source: string): Promise<Policy> {
  if (typeof policy === 'function' || policyNames.includes(policy as PolicyName)) return policy as Policy
  const { default: found } = await load(policy, source)
  if (typeof found === 'function') return found as PolicyFunction
  throw new UsageError(`${source} ${policy} has no function as its default export`)
}

async function load(path: string, source: string): Promise<{ default?: unknown }> {
  try {
    return (await import(pathToFileURL(path).href)) as { default?: unknown }
  } catch (error) {
    throw new UsageError(`${source} ${path} cannot be loaded: ${why(error)}`)
  }
}
