import { checkOptions, shown, wholeNumber } from '../../arguments.js'
import { WORKERS_MAX } from '../../limits.js'
import type { SettledOrphans } from '../orphans.js'
import { absoluteScript, checkScript } from '../workers/script.js'
import type { Program } from '../workers/worker.js'

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

/** What an order makes of the environment that workers would have without it. Called more than once. */
export type ChangeEnvironment = (env: NodeJS.ProcessEnv) => NodeJS.ProcessEnv

/** What differs in a program. */
export interface ProgramChange extends Partial<Omit<Program, 'env'>> {
  env?: NodeJS.ProcessEnv | ChangeEnvironment
}

/** The same places, whose programs differ. */
export function withProgram(places: readonly Place[], { env, ...change }: ProgramChange): Place[] {
  return places.map((place) => {
    const { program } = place
    const own = typeof env === 'function' ? env(program.env) : (env ?? program.env)
    return { ...place, program: { ...program, ...change, env: own } }
  })
}

/** The same with what a worker there is told of itself. */
export function programAt(place: Place, generation: number, { wait, ask }: SettledOrphans): Program {
  const program = programOf(place)
  const { HANDOVER_GROUP: _ofOurOwn, HANDOVER_ORPHANS: _too, ...env } = program.env // a supervisor may run in a worker
  const own = {
    HANDOVER_WORKER: String(place.number),
    HANDOVER_GENERATION: String(generation),
    ...(place.group === null ? {} : { HANDOVER_GROUP: place.group }),
    ...(wait ? { HANDOVER_ORPHANS: 'wait' } : {}),
    ...(wait && ask !== null ? { HANDOVER_CONTROL: ask } : {}),
  }
  return { ...program, env: { ...env, ...own } }
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

/**
 * The places with another number of workers in one group. Those that stay keep their numbers, those with the highest go,
 * and new ones get the lowest that are free.
 * @param group  null: those of no group
 * @throws {TypeError} there is no such group
 * @throws {RangeError} too few, or too many
 */
export function resized(places: readonly Place[], group: string | null, workers: number): Place[] {
  const name = group === null ? 'workers' : `groups.${group}`
  const same = places.filter((place) => place.group === group)
  const [model] = same
  if (model === undefined) {
    const groups = [...new Set(places.map((place) => place.group))].map((one) => one ?? 'workers of none')
    throw new TypeError(`${name}: there are none of that kind; there are ${groups.join(', ')}`)
  }
  const count = wholeNumber(name, workers, 1, WORKERS_MAX)
  const kept = new Set([...same].sort((one, other) => one.number - other.number).slice(0, count))
  const all = places.filter((place) => place.group !== group || kept.has(place))
  const taken = new Set(all.map(({ number }) => number))
  for (let number = 1, missing = count - kept.size; missing > 0; number++) {
    if (taken.has(number)) continue
    all.push({ ...model, number })
    missing -= 1
  }
  if (all.length > WORKERS_MAX) throw new RangeError(`${name}: at most ${WORKERS_MAX} workers in all`)
  return all.sort((one, other) => one.number - other.number)
}

/** What is said of a place that there is not. */
export function noPlace(worker: unknown): RangeError {
  return new RangeError(`worker: the number of a place, not ${shown(worker)}`)
}
