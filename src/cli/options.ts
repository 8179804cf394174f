import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Policy, type PolicyFunction, type PolicyName, policyNames } from '../dispatch/policy.js'
import type { SupervisorOptions } from '../supervisor/options.js'

/** Bad usage: one line that says what to do. */
export class UsageError extends Error {}

/** Finds the script as `node` would. @throws {UsageError} there is none */
export function findScript(script: string, cwd: string): string {
  const path = resolve(cwd, script)
  try {
    if (statSync(path).isFile()) return path
  } catch {
    // perhaps it was named without its ending
  }
  try {
    return createRequire(`${cwd}/`).resolve(path)
  } catch {
    throw new UsageError(`there is no script ${script} in ${cwd}: check the path`)
  }
}

/** What a module of routes says: how connections are looked at, and the groups they go to. */
export type Handshakes = Pick<SupervisorOptions, 'handshake' | 'groups'>

/**
 * Loads a module whose default export is an inspection, its options, or a list of them; `groups` beside it.
 * @throws {UsageError} it cannot be loaded, or has none
 */
export async function findHandshakes(text: string | undefined, cwd: string): Promise<Handshakes> {
  if (text === undefined) return {}
  const module = await load('--handshake', text, cwd)
  const { default: found, groups } = module as { default?: unknown; groups?: Handshakes['groups'] }
  if (typeof found !== 'function' && (typeof found !== 'object' || found === null)) {
    throw new UsageError(`--handshake ${text} has no inspection, and no options of one, as its default export`)
  }
  const handshake = (typeof found === 'function' ? { inspect: found } : found) as Handshakes['handshake'] & object
  return { handshake, ...(groups === undefined ? {} : { groups: withScripts(groups, cwd) }) }
}

/** Scripts of groups are named as the script of all is: from the folder the command runs in. */
function withScripts(groups: NonNullable<Handshakes['groups']>, cwd: string): NonNullable<Handshakes['groups']> {
  const found = Object.entries(groups).map(([name, group]) => {
    return [name, group?.script === undefined ? group : { ...group, script: findScript(group.script, cwd) }] as const
  })
  return Object.fromEntries(found)
}

async function load(option: string, text: string, cwd: string): Promise<object> {
  try {
    return (await import(pathToFileURL(resolve(cwd, text)).href)) as object
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new UsageError(`${option} ${text} cannot be loaded: ${why.split('\n')[0]}`)
  }
}

/** A policy by its name, or from a module whose default export is a function. @throws {UsageError} neither */
export async function findPolicy(text: string, cwd: string): Promise<Policy> {
  if (policyNames.includes(text as PolicyName)) return text as PolicyName
  const known = policyNames.join(' or ')
  if (!/[./]/.test(text)) throw new UsageError(`--policy takes ${known}, or the path of a module, not "${text}"`)
  const module = (await load('--policy', text, cwd)) as { default?: unknown }
  if (typeof module.default === 'function') return module.default as PolicyFunction
  throw new UsageError(`--policy ${text} has no function as its default export`)
}
