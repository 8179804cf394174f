import { availableParallelism } from 'node:os'
import { InvalidArgumentError } from 'commander'
import { adminAddress } from '../admin/options.js'
import { WORKERS_MAX } from '../limits.js'

/** A parser for commander: a whole number within bounds. */
export function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`)
  }
}

/** `[host:]port` */
export function address(text: string): { host: string; port: number } {
  try {
    return adminAddress(text)
  } catch {
    throw new InvalidArgumentError('It takes [host:]port, such as 9100, 127.0.0.1:9100 or [::1]:9100.')
  }
}

/** A number of workers, or `max` for one per core. */
export function workerCount(text: string): number {
  if (text === 'max') return availableParallelism()
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= 1 && value <= WORKERS_MAX) return value
  throw new InvalidArgumentError(`It takes a whole number from 1 to ${WORKERS_MAX}, or "max" for one per core.`)
}

/** Whole seconds within bounds, as milliseconds. */
export function seconds(least: number, most: number): (text: string) => number {
  const parse = whole(least, most)
  return (text) => parse(text) * 1000
}
