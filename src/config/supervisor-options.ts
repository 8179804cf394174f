import { availableParallelism } from 'node:os'
import { CARE_OPTIONS } from '../supervisor/care/care-options.js'
import type { GroupOptions } from '../supervisor/generations/places.js'
import type { SupervisorOptions } from '../supervisor/options.js'
import { type Handshakes, loadHandshakes, loadPolicy } from './modules.js'
import type { Values } from './schema.js'

/** What a supervisor calls by the same name, and takes as it is. */
const SAME = [
  'script',
  'args',
  'maxConnections',
  'maxTotal',
  'listen',
  'backlog',
  'threads',
  'preload',
  'drainTimeout',
  'readiness',
  'healthWindow',
  'distribution',
  'orphans',
  'ticketRotation',
  ...CARE_OPTIONS,
] as const satisfies readonly (keyof Values)[]

/**
 * What a supervisor is made with; what was not given is left out.
 * @param cwd     where workers run unless `cwd` says otherwise
 * @param source  what named a value, for errors: `--policy`, `handover.config.ts: policy`
 * @throws {UsageError} a module cannot be loaded, or has not what it should
 */
export async function supervisorOptions(
  values: Values,
  cwd: string,
  source: (key: 'policy' | 'handshake') => string,
): Promise<SupervisorOptions> {
  const same = Object.fromEntries(SAME.filter((key) => values[key] !== undefined).map((key) => [key, values[key]]))
  const { handshake, groups } = await handshakesOf(values, cwd, source('handshake'))
  return {
    ...(same as Partial<SupervisorOptions>),
    cwd: values.cwd ?? cwd,
    env: environmentOf(values),
    ...(values.workers === undefined ? {} : { workers: workersOf(values.workers) }),
    ...(values.policy === undefined ? {} : { policy: await loadPolicy(values.policy, source('policy')) }),
    ...(values.nodeOptions === undefined ? {} : { execArgv: values.nodeOptions }),
    ...(handshake === undefined ? {} : { handshake }),
    ...(groups === undefined ? {} : { groups }),
  }
}

/** The command's own environment with what the configuration changes. */
export function environmentOf({ env = {} }: Values): NodeJS.ProcessEnv {
  const merged: NodeJS.ProcessEnv = { ...process.env }
  for (const [name, value] of Object.entries(env)) {
    if (value === null) delete merged[name]
    else merged[name] = value
  }
  return merged
}

export function workersOf(workers: number | 'max'): number {
  return workers === 'max' ? availableParallelism() : workers
}

/** Groups of the configuration beside those that a module of routes brings along. */
async function handshakesOf({ handshake, groups }: Values, cwd: string, source: string): Promise<Handshakes> {
  const own = groups && Object.fromEntries(Object.entries(groups).map(([name, group]) => [name, groupOf(group)]))
  if (typeof handshake !== 'string') {
    return { ...(handshake === undefined ? {} : { handshake }), ...(own === undefined ? {} : { groups: own }) }
  }
  const loaded = await loadHandshakes(handshake, source, cwd)
  return own === undefined ? loaded : { ...loaded, groups: { ...loaded.groups, ...own } }
}

function groupOf({ workers, script, args, nodeOptions, env }: NonNullable<Values['groups']>[string]): GroupOptions {
  const changes = env && Object.entries(env).map(([name, value]) => [name, value ?? undefined])
  return {
    ...(workers === undefined ? {} : { workers: workersOf(workers) }),
    ...(script === undefined ? {} : { script }),
    ...(args === undefined ? {} : { args }),
    ...(nodeOptions === undefined ? {} : { execArgv: nodeOptions }),
    ...(changes === undefined ? {} : { env: Object.fromEntries(changes) as NodeJS.ProcessEnv }),
  }
}
