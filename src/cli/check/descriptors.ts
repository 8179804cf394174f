import { readFileSync } from 'node:fs'
import type { Settled } from '../../config/settle.js'
import { workersOf } from '../../config/supervisor-options.js'
import { DESCRIPTORS_OF_PROCESS, DESCRIPTORS_USUAL } from '../../limits.js'

/** How many descriptors a process of this user may have open. Node raises the soft limit to the hard one as it starts. */
export interface DescriptorLimit {
  readonly soft: number
  readonly hard: number
}

/** @returns null: this system does not tell */
export function descriptorLimit(): DescriptorLimit | null {
  try {
    const line = /^Max open files +(\S+) +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return line === null ? null : { soft: numberOf(line[1]), hard: numberOf(line[2]) }
  } catch {
    return null
  }
}

/** What a process of the service may need: the connections it is allowed, or as many as are usual. */
export function descriptorsWanted({ values }: Settled): { readonly count: number; readonly why: string } {
  const { maxConnections, maxTotal, workers, threads, groups } = values
  const count = workersOf(workers ?? 1)
  if (threads && maxTotal !== undefined) return wanted(maxTotal, `maxTotal ${maxTotal}, as threads share it`)
  if (threads && maxConnections !== undefined && groups === undefined) {
    return wanted(maxConnections * count, `maxConnections ${maxConnections} in ${count} threads`)
  }
  if (maxConnections !== undefined) return wanted(maxConnections, `maxConnections ${maxConnections}`)
  // One worker may be left with all of them.
  if (maxTotal !== undefined) return wanted(maxTotal, `maxTotal ${maxTotal}`)
  return { count: DESCRIPTORS_USUAL, why: 'connections are not limited' }
}

function wanted(connections: number, why: string): { count: number; why: string } {
  return { count: connections + DESCRIPTORS_OF_PROCESS, why }
}

/** One line if the limit is low for what was asked for. @returns null: it is not, or nobody knows */
export function descriptorWarning(settled: Settled): { text: string; fields: object } | null {
  const limit = descriptorLimit()
  if (limit === null) return null
  const { count, why } = descriptorsWanted(settled)
  if (limit.soft >= count) return null
  return { text: descriptorText(limit, count, why), fields: { ...limit, wanted: count } }
}

/** Which limit is low, for what, and how to raise it. */
export function descriptorText({ soft, hard }: DescriptorLimit, count: number, why: string): string {
  const which = soft < hard ? `soft limit; hard ${hard}` : 'hard limit'
  return `descriptor limit ${soft} is low (${which}): ${why}, which takes ${count}; raise it with \`ulimit -n ${count}\`, or LimitNOFILE=${count} in a systemd unit`
}

/** What to do where the limit is reached. */
export function limitHint(): string {
  const limit = descriptorLimit()
  return `raise the descriptor limit${limit === null ? '' : ` of ${limit.soft}`} with \`ulimit -n ${DESCRIPTORS_USUAL}\`, or LimitNOFILE=${DESCRIPTORS_USUAL} in a systemd unit`
}

function numberOf(text: string | undefined): number {
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text)
}
