import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InvalidArgumentError } from 'commander'
import { type Policy, type PolicyFunction, type PolicyName, policyNames } from '../dispatch/policy.js'
import { WORKERS_MAX } from '../limits.js'

/** Bad usage: one line that says what to do. */
export class UsageError extends Error {}

/** A parser for commander: a whole number within bounds. */
export function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`)
  }
}

/** A number of workers, or `max` for one per core. */
export function workerCount(text: string): number {
  if (text === 'max') return availableParallelism()
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= 1 && value <= WORKERS_MAX) return value
  throw new InvalidArgumentError(`It takes a whole number from 1 to ${WORKERS_MAX}, or "max" for one per core.`)
}

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

/** A policy by its name, or from a module whose default export is a function. @throws {UsageError} neither */
export async function findPolicy(text: string, cwd: string): Promise<Policy> {
  if (policyNames.includes(text as PolicyName)) return text as PolicyName
  const known = policyNames.join(' or ')
  if (!/[./]/.test(text)) throw new UsageError(`--policy takes ${known}, or the path of a module, not "${text}"`)
  const path = resolve(cwd, text)
  try {
    const module = (await import(pathToFileURL(path).href)) as { default?: unknown }
    if (typeof module.default === 'function') return module.default as PolicyFunction
  } catch (error) {
    throw new UsageError(`--policy ${text} cannot be loaded: ${(error as Error).message.split('\n')[0]}`)
  }
  throw new UsageError(`--policy ${text} has no function as its default export`)
}
