import { checkOptions, wholeMilliseconds, wholeNumber } from '../arguments.js'
import type { Policy } from '../dispatch/policy.js'
import { type HandshakeOptions, type SettledHandshake, settleHandshake } from '../handshake/options.js'
import { DRAIN_DEFAULT, RELOAD_READY_DEFAULT, TICKET_ROTATION_DEFAULT, TICKET_ROTATION_MAX } from '../limits.js'
import type { ListenOptions } from '../transport/listening-port.js'
import { CARE_OPTIONS, type CareOptions, type SettledCare, settleCare } from './care/care-options.js'
import {
  GENERATION_OPTIONS,
  type GenerationOptions,
  type SettledReadiness,
  settleHealthWindow,
  settleReadiness,
} from './generations/generation-options.js'
import {
  type ChangeEnvironment,
  type GroupOptions,
  type Place,
  type ProgramChange,
  placesOf,
} from './generations/places.js'
import { ORPHAN_OPTIONS, type OrphanOptions, type SettledOrphans, settleOrphans } from './orphans.js'
import { type DistributionOptions, type SettledDistribution, settleDistribution } from './ports/distribution-options.js'
import { absoluteScript } from './workers/script.js'
import type { Program } from './workers/worker.js'

export interface SupervisorOptions extends DistributionOptions, GenerationOptions, CareOptions, OrphanOptions {
  /** The program every worker runs; an absolute path. Not needed where every group has its own, and all workers one. */
  script?: string
  args?: readonly string[]
  /** 1 … 1024. Default 1; with groups none, unless there are to be workers of no group, too. */
  workers?: number
  /** Groups of workers by name, each with what differs from the rest. Inspection and policies route to them. */
  groups?: Readonly<Record<string, GroupOptions>>
  /** Default 'least-connections'. */
  policy?: Policy
  /** At most this many connections per worker at a time. Default: no limit. */
  maxConnections?: number
  /** At most this many connections over all workers. Default: no limit. */
  maxTotal?: number
  /** Ports that `start` opens itself, for workers that call `serve(server)` without an address. Default: none. */
  listen?: readonly ListenOptions[]
  /**
   * Look at what clients first say, and hand their connections over accordingly. Of several, the first that is for a
   * port is used. Default: connections are handed over as they come.
   */
  handshake?: HandshakeOptions | readonly HandshakeOptions[]
  /** Pending connections the kernel queues, whatever the program asks for. */
  backlog?: number
  /** Run workers as threads of this process. Default false: as processes. */
  threads?: boolean
  /** Make `listen` of the unmodified program go through the master. Default true; false: it calls `serve`. */
  preload?: boolean
  execArgv?: readonly string[]
  env?: NodeJS.ProcessEnv
  cwd?: string
  /**
   * Let the kernel schedule this thread as a batch job: a third less processor time per connection, as it finds more
   * of them at each waking. For a process that does nothing but this; workers are not affected. Default false.
   */
  batchScheduling?: boolean
  /** Milliseconds that draining workers have for their open connections. Default 30,000. */
  drainTimeout?: number
  /**
   * Milliseconds between new keys for TLS session tickets, which all workers share; those before are accepted as long
   * again. 0 or false: servers see to that themselves. Default twelve hours, at most seven days.
   */
  ticketRotation?: number | false
}

/** What may differ in the next generation of workers; what is left out stays as it is. */
export interface ReloadOptions extends GenerationOptions {
  /** An absolute path. */
  script?: string
  args?: readonly string[]
  /** Theirs; or what becomes of that which workers have when the reload has its turn. */
  env?: NodeJS.ProcessEnv | ChangeEnvironment
  execArgv?: readonly string[]
  cwd?: string
  /** How many workers of no group there are from now on. */
  workers?: number
  /** The same of groups, by name. */
  groups?: Readonly<Record<string, number>>
  /** One worker after the other: there is one more at a time, and not twice as many. Default false. */
  rolling?: boolean
  /** A reload that has not got so far as to be healthy is given up for this one. Default false: it is waited for. */
  supersede?: boolean
  /** Milliseconds in which all new workers must be ready; with `rolling` each. Default 60,000. */
  milliseconds?: number
  /** Milliseconds that the old workers have for their open connections. Default: the supervisor's. */
  drainTimeout?: number
}

/** Options with every bound checked and every default filled in. No limit is Infinity. */
export interface SettledOptions {
  care: SettledCare
  places: readonly Place[]
  policy: Policy
  limit: number
  maxTotal: number
  listen: readonly ListenOptions[]
  handshakes: readonly SettledHandshake[]
  distribution: SettledDistribution
  backlog: number | undefined
  threads: boolean
  batchScheduling: boolean
  drainTimeout: number
  /** 0: none. */
  ticketRotation: number
  orphans: SettledOrphans
  readiness: SettledReadiness
  healthWindow: number
}

const KNOWN: readonly (keyof SupervisorOptions)[] = [
  'script',
  'args',
  'workers',
  'groups',
  'policy',
  'maxConnections',
  'maxTotal',
  'listen',
  'handshake',
  'backlog',
  'threads',
  'preload',
  'execArgv',
  'env',
  'cwd',
  'batchScheduling',
  'drainTimeout',
  'ticketRotation',
  ...ORPHAN_OPTIONS,
  ...GENERATION_OPTIONS,
  ...CARE_OPTIONS,
  'distribution',
]

const PROGRAM_CHANGES = ['script', 'args', 'env', 'execArgv', 'cwd'] as const
const KNOWN_RELOAD: readonly (keyof ReloadOptions)[] = [
  ...PROGRAM_CHANGES,
  ...GENERATION_OPTIONS,
  'workers',
  'groups',
  'rolling',
  'supersede',
  'milliseconds',
  'drainTimeout',
]

/** @throws {TypeError | RangeError} an option that is unknown, of the wrong type or out of range, by its name */
export function settleOptions(options: SupervisorOptions): SettledOptions {
  checkOptions(options, KNOWN)
  const { workers, groups = {}, policy, maxTotal } = options
  const handshakes = [options.handshake ?? []].flat().map((one) => settleHandshake(one, Object.keys(groups)))
  const program: Program = {
    script: mainScript(options),
    args: options.args ?? [],
    execArgv: options.execArgv ?? [],
    env: options.env ?? process.env,
    cwd: options.cwd ?? process.cwd(),
    preload: options.preload ?? true,
  }
  return {
    places: placesOf(program, workers, groups),
    policy: policy ?? 'least-connections',
    limit:
      options.maxConnections === undefined
        ? Number.POSITIVE_INFINITY
        : wholeNumber('maxConnections', options.maxConnections, 1),
    maxTotal: maxTotal === undefined ? Number.POSITIVE_INFINITY : wholeNumber('maxTotal', maxTotal, 1),
    listen: options.listen ?? [],
    handshakes,
    distribution: settleDistribution(options.distribution, { policy, maxTotal, handshakes }),
    backlog: options.backlog === undefined ? undefined : wholeNumber('backlog', options.backlog, 1),
    threads: options.threads ?? false,
    batchScheduling: options.batchScheduling ?? false,
    drainTimeout: wholeMilliseconds('drainTimeout', options.drainTimeout ?? DRAIN_DEFAULT),
    ticketRotation: ticketRotation(options.ticketRotation),
    orphans: settleOrphans(options),
    readiness: settleReadiness(options.readiness),
    healthWindow: settleHealthWindow(options.healthWindow),
    care: settleCare(options, options.threads ?? false),
  }
}

/** A reload with every bound checked and every default filled in. */
export interface SettledReload {
  /** What differs in the program of every worker. */
  change: ProgramChange
  /** Undefined: as many as there are. */
  workers: number | undefined
  groups: Readonly<Record<string, number>>
  rolling: boolean
  supersede: boolean
  milliseconds: number
  drainTimeout: number
  readiness: SettledReadiness
  healthWindow: number
}

/**
 * @param own  what is not given is as the supervisor's own options have it
 * @throws {TypeError | RangeError} as `settleOptions`
 */
export function settleReload(options: ReloadOptions, own: SettledOptions): SettledReload {
  checkOptions(options, KNOWN_RELOAD)
  if (options.script !== undefined) absoluteScript('script', options.script)
  const given = PROGRAM_CHANGES.filter((name) => options[name] !== undefined).map((name) => [name, options[name]])
  return {
    change: Object.fromEntries(given) as ProgramChange,
    milliseconds: wholeMilliseconds('milliseconds', options.milliseconds ?? RELOAD_READY_DEFAULT, 1),
    drainTimeout: wholeMilliseconds('drainTimeout', options.drainTimeout ?? own.drainTimeout),
    workers: options.workers,
    groups: options.groups ?? {},
    rolling: options.rolling ?? false,
    supersede: options.supersede ?? false,
    readiness: options.readiness === undefined ? own.readiness : settleReadiness(options.readiness),
    healthWindow: settleHealthWindow(options.healthWindow ?? own.healthWindow),
  }
}

function ticketRotation(milliseconds: number | false = TICKET_ROTATION_DEFAULT): number {
  return milliseconds === false ? 0 : wholeNumber('ticketRotation', milliseconds, 0, TICKET_ROTATION_MAX)
}

function mainScript({ script, workers = 0, groups = {} }: SupervisorOptions): string {
  const all = Object.values(groups ?? {})
  const needless = workers === 0 && all.length > 0 && all.every((group) => group?.script !== undefined)
  return script === undefined && needless ? '' : absoluteScript('script', script)
}
