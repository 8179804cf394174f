import type { ListenOptions } from '../../transport/listening-port.js'
import type { ListenRequest } from '../../wire/control.js'
import type { DistributedPort, Socket } from './distributed-port.js'
import type { DistributionMode, SettledDistribution } from './distribution-options.js'

/** A worker's place in a generation, by identity. */
export interface PortUser {
  /** The same in each generation. */
  readonly number: number
}

/** How connections get to the workers. */
export interface Distribution {
  readonly rules: SettledDistribution
  /** Every worker is of some group; else only those of none accept by themselves. */
  readonly allGrouped: boolean
  /** Connections that a worker which accepts by itself may have; null: no limit. */
  readonly most: number | null
}

export interface PortEntry {
  id: number
  key: string
  /** As it was asked for. */
  host: string
  port: DistributedPort
  /** The supervisor opened it by itself: it stays open as long as that does. */
  own: boolean
  /** Worker places that listen here. One whose worker died counts on: its successor will listen again. */
  users: Set<PortUser>
}

/** A port that somebody else had, whose sockets may be kept under names. */
export interface ResumedPort extends Omit<PortEntry, 'port'> {
  readonly mode: DistributionMode
  readonly options: ListenOptions
  readonly sockets: readonly (Socket & { readonly kept: string | null })[]
}

/** How what a worker asks for is opened. @param most  clients that may wait, whatever the worker asks for */
export function optionsOf(
  { host, port, backlog, ipv6Only, reusePort, umask }: ListenRequest,
  most?: number,
): ListenOptions {
  const queue = most ?? Math.max(1, backlog)
  if (port === null) return { path: host, backlog: queue, mode: 0o777 & ~umask }
  return { port, backlog: queue, ipv6Only, reusePort, ...(host === '' ? {} : { host }) }
}

/** Whether a port was opened like this. */
export function wasOpenedAs(
  { host: asked, port: { address, options: before } }: PortEntry,
  options: ListenOptions,
): boolean {
  const host = 'path' in options ? options.path : (options.host ?? '')
  if (asked !== host) return false
  if ('path' in options) return typeof address === 'string'
  if (typeof address === 'string') return false
  return address.port === options.port || ('port' in before && before.port === options.port)
}
