import { isDeepStrictEqual } from 'node:util'
import type { ReloadOptions } from '../supervisor/options.js'
import type { Values } from './schema.js'
import type { Settled } from './settle.js'

/** What a reload changes. All else takes a new supervisor: an upgrade, or stopping and starting. */
const CHANGES = new Set<string>([
  'script',
  'args',
  'env',
  'cwd',
  'nodeOptions',
  'workers',
  'drainTimeout',
  'readiness',
  'healthWindow',
])

/** A reload, and what it leaves as it was. */
export interface ConfiguredReload {
  readonly options: ReloadOptions
  /** Keys that differ and that no reload changes. */
  readonly restart: readonly string[]
}

/**
 * What a reload has to change so that workers run by the configuration as it is now. The program's part is always there,
 * so that what was taken out of the file is as it is without it.
 */
export function reloadFrom(config: Settled, previous: Settled): ConfiguredReload {
  const { script, args = [], env, execArgv = [], cwd } = config.supervisor
  const changed = changedKeys(config.values, previous.values)
  const now = config.supervisor as Readonly<Record<string, unknown>>
  // A number that was scaled at run time stays, unless the file says another than it did.
  const more = ['workers', 'drainTimeout', 'readiness', 'healthWindow'].filter(
    (key) => changed.includes(key) && now[key] !== undefined,
  )
  const program = { args, execArgv, ...(env === undefined ? {} : { env }), ...(cwd === undefined ? {} : { cwd }) }
  const rest = Object.fromEntries(more.map((key) => [key, now[key]])) as ReloadOptions
  return {
    options: { ...(script === undefined ? {} : { script }), ...program, ...rest },
    restart: changed.filter((key) => !CHANGES.has(key)),
  }
}

function changedKeys(now: Values, before: Values): string[] {
  const all = new Set([...Object.keys(now), ...Object.keys(before)]) as Set<keyof Values>
  return [...all].filter((key) => !isDeepStrictEqual(comparable(now[key]), comparable(before[key])))
}

/** Functions of a module that was read again are others; they are the same here if their text is. */
function comparable(value: unknown): unknown {
  if (typeof value === 'function') return `${value}`
  if (Array.isArray(value)) return value.map(comparable)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, comparable(one)]))
}
