import { checkOptions, shown, wholeNumber } from '../arguments.js'
import { WORKERS_MAX } from '../limits.js'
import { absoluteScript, checkScript } from './script.js'
import type { Program } from './worker.js'

/** Workers of their own kind, to which connections can be routed by name. */
export interface GroupOptions {
  /** Default 1. */
  workers?: number
  /** The program they run; an absolute path. Default: that of all the others, as is what follows. */
  script?: string
  args?: readonly string[]
  execArgv?: readonly string[]
  /** In addition to that of the others. */
  env?: NodeJS.ProcessEnv
}

/** A worker's number, and what it runs. */
export interface Place {
  /** From 1, the same in each generation: whoever is bound to a worker stays so across reloads. */
  readonly number: number
  readonly group: string | null
  /** What all workers run. */
  readonly program: Program
  /** What this one runs instead. */
  readonly own: Omit<GroupOptions, 'workers'>
}

/** What the worker of a place runs. */
export function programOf({ program, own }: Place): Program {
  return { ...program, ...own, env: { ...program.env, ...own.env } }
}

/** @throws {TypeError} there is no such script */
export function checkScripts(places: readonly Place[]): void {
  for (const place of places) checkScript(programOf(place).script)
}

const KNOWN = ['workers', 'script', 'args', 'execArgv', 'env']

/**
 * The places of all workers: first those of no group, then group by group.
 * @param workers  of no group; with groups there need be none
 * @throws {TypeError | RangeError} an option that is unknown, of the wrong type or out of range, by its name
 */
export function placesOf(
  program: Program,
  workers: number | undefined,
  groups: Readonly<Record<string, GroupOptions>>,
): Place[] {
  if (typeof groups !== 'object' || groups === null) {
    throw new TypeError(`groups: an object of groups by their names, not ${shown(groups)}`)
  }
  const named = Object.entries(groups)
  const ungrouped = wholeNumber('workers', workers ?? (named.length > 0 ? 0 : 1), named.length > 0 ? 0 : 1, WORKERS_MAX)
  const places: Place[] = []
  const add = (count: number, group: string | null, own: Place['own']): void => {
    for (let i = 0; i < count; i++) places.push({ number: places.length + 1, group, program, own })
  }
  add(ungrouped, null, {})
  for (const [name, options] of named) {
    checkOptions(options, KNOWN)
    const { workers: count = 1, ...own } = options
    if (own.script !== undefined) absoluteScript(`groups.${name}.script`, own.script)
    add(wholeNumber(`groups.${name}.workers`, count, 1, WORKERS_MAX), name, own)
  }
  if (places.length > WORKERS_MAX) throw new RangeError(`groups: at most ${WORKERS_MAX} workers in all`)
  return places
}
