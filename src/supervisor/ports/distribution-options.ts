import { resolve } from 'node:path'
import { checkOptions, shown, wholeNumber } from '../../arguments.js'
import type { SettledHandshake } from '../../handshake/options.js'

/**
 * How a port's connections get to the workers: the master accepts and hands them over (`dispatch`); every worker accepts
 * from the one port (`share`); each worker has a queue of its own, for which the kernel chooses (`reuseport`).
 */
export type DistributionMode = 'dispatch' | 'share' | 'reuseport'

export interface DistributionRule {
  /** Numbers and paths, as programs ask for them. Default: every port. */
  ports?: readonly (number | string)[]
  mode: DistributionMode
}

export interface DistributionOptions {
  /**
   * How connections get to the workers, of every port or by rules, of which the first that fits a port is used. What no
   * rule fits is dispatched. Default 'dispatch'.
   */
  distribution?: DistributionMode | readonly DistributionRule[]
}

export type SettledDistribution = readonly DistributionRule[]

/** Options that have to do with who gets a connection. */
interface Others {
  policy: unknown
  maxTotal: unknown
  handshakes: readonly SettledHandshake[]
}

const MODES: readonly DistributionMode[] = ['dispatch', 'share', 'reuseport']

/**
 * How connections of a port get to the workers.
 * @param place  its number as it is asked for, or its path
 */
export function modeOf(rules: SettledDistribution, place: number | string): DistributionMode {
  const mode = rules.find(({ ports }) => ports === undefined || ports.includes(place))?.mode ?? 'dispatch'
  return mode === 'reuseport' && typeof place === 'string' ? 'share' : mode // paths have no such groups
}

/**
 * @throws {TypeError | RangeError} it is none, or an option of another name needs the master to choose where the kernel
 *   does
 */
export function settleDistribution(value: DistributionOptions['distribution'], others: Others): SettledDistribution {
  const given = value === undefined || typeof value === 'string' ? [{ mode: value ?? 'dispatch' }] : value
  if (!Array.isArray(given))
    throw new TypeError(`distribution: one of ${MODES.join(', ')}, or a list, not ${shown(value)}`)
  const named = typeof value === 'string' ? 'distribution' : ''
  const rules = given.map((rule, index) => settleRule(rule, named || `distribution[${index}]`))
  checkOthers(rules, others)
  return rules
}

function settleRule(rule: DistributionRule, name: string): DistributionRule {
  if (typeof rule !== 'object' || rule === null)
    throw new TypeError(`${name}: an object with a mode, not ${shown(rule)}`)
  checkOptions(rule, ['ports', 'mode'])
  const { ports, mode } = rule
  if (!MODES.includes(mode)) throw new TypeError(`${name}: the mode is one of ${MODES.join(', ')}, not ${shown(mode)}`)
  if (mode === 'reuseport' && process.platform !== 'linux') {
    throw new TypeError(`${name}: 'reuseport' spreads connections on Linux alone; take 'share' or 'dispatch'`)
  }
  if (ports === undefined) return { mode }
  if (!Array.isArray(ports)) throw new TypeError(`${name}.ports: a list of numbers and paths, not ${shown(ports)}`)
  return { mode, ports: ports.map((place, index) => settlePlace(place, mode, `${name}.ports[${index}]`)) }
}

function settlePlace(place: unknown, mode: DistributionMode, name: string): number | string {
  if (typeof place === 'number') return wholeNumber(name, place, 0, 0xffff)
  if (typeof place !== 'string' || place === '' || /^\d+$/.test(place)) {
    throw new TypeError(`${name}: a port number or a path, not ${shown(place)}`)
  }
  if (mode === 'reuseport') {
    throw new TypeError(`${name}: 'reuseport' is for TCP; a path can be shared or dispatched, not ${shown(place)}`)
  }
  return place.startsWith('\0') ? place : resolve(place)
}

/** Who chooses by a policy, a sum or what a client says must see the connection first. */
function checkOthers(rules: SettledDistribution, { policy, maxTotal, handshakes }: Others): void {
  const last = rules.findIndex(({ ports }) => ports === undefined)
  const used = last < 0 ? rules : rules.slice(0, last + 1)
  const free = used.find(({ mode }) => mode !== 'dispatch')
  if (free === undefined) return
  const all = last >= 0 && used.every(({ mode }) => mode !== 'dispatch')
  const { mode } = free
  if (policy !== undefined && all) throw conflict('policy', mode, 'the kernel chooses the worker')
  if (maxTotal !== undefined) throw conflict('maxTotal', mode, 'nobody counts before a worker accepts')
  for (const { ports } of handshakes) {
    const seen = ports?.find((place) => modeOf(rules, place) !== 'dispatch')
    const what = 'nobody looks at a connection before a worker has it'
    if (ports === undefined) throw conflict('handshake', mode, what)
    if (seen !== undefined) throw conflict(`handshake.ports (${seen})`, modeOf(rules, seen), what)
  }
}

function conflict(option: string, mode: DistributionMode, why: string): TypeError {
  return new TypeError(`${option}: not with distribution '${mode}', where ${why}; take 'dispatch' for that port`)
}
