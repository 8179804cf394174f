import { isDeepStrictEqual } from 'node:util'
import { DRAIN_DEFAULT, HEALTH_WINDOW_DEFAULT } from '../limits.js'
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
  readonly options: ReloadOptions & { env?: NodeJS.ProcessEnv }
  /** Keys that differ and that no reload changes. */
  readonly restart: readonly string[]
}

/**
 * What a reload has to change so that workers run by the configuration as it is now: the keys that differ. What was taken
 * out of the file is as it is without it; what is the same as before is left out, as it may have been changed at run time.
 */
export function reloadFrom(config: Settled, previous: Settled): ConfiguredReload {
  const { script, args = [], env, execArgv = [], cwd, groups } = config.supervisor
  const changed = changedKeys(config.values, previous.values)
  const now = config.supervisor as Readonly<Record<string, unknown>>
  const all: Readonly<Record<string, unknown>> = {
    script,
    args,
    env,
    cwd,
    nodeOptions: execArgv,
    workers: now.workers ?? (groups === undefined ? 1 : 0),
    drainTimeout: now.drainTimeout ?? DRAIN_DEFAULT,
    readiness: now.readiness ?? {},
    healthWindow: now.healthWindow ?? HEALTH_WINDOW_DEFAULT,
  }
  // These are of one reload: they are said each time.
  const always = ['drainTimeout', 'readiness', 'healthWindow'].filter((key) => now[key] !== undefined)
  const keys = new Set([...always, ...changed.filter((key) => CHANGES.has(key))])
  const options = [...keys].map((key) => [key === 'nodeOptions' ? 'execArgv' : key, all[key]] as const)
  return {
    options: Object.fromEntries(options.filter(([, value]) => value !== undefined)) as ConfiguredReload['options'],
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
