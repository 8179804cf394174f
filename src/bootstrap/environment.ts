/** What a service manager puts into the environment of the program it starts. */
import { HandoverError } from '../errors.js'

/** A variable that no manager sets like this. */
export function malformed(name: string, value: string, what: string, cause?: unknown): HandoverError {
  const options = cause === undefined ? undefined : { cause }
  return new HandoverError('ERR_HANDOVER_ACTIVATION', `${name}=${value} ${what}`, options)
}

/**
 * The whole number that a variable holds, in digits alone.
 * @throws {HandoverError} ERR_HANDOVER_ACTIVATION: it holds none, or a smaller one
 */
export function wholeIn(name: string, value: string, least: number): number {
  const number = /^\d{1,16}$/.test(value) ? Number(value) : -1
  if (number >= least && number <= Number.MAX_SAFE_INTEGER) return number
  throw malformed(name, value, `is no whole number from ${least}`)
}
