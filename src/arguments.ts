/** What every check of an argument says: its name, what is allowed, and what came. */
import { TIME_MAX } from './limits.js'

/** A value as an error names it: short, and with its type. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `the string ${JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)}`
    case 'number':
    case 'boolean':
      return String(value)
    case 'bigint':
      return `the bigint ${value}n`
    case 'function':
      return 'a function'
    case 'object':
      if (value === null) return 'null'
      return `an object (${Object.getPrototypeOf(value)?.constructor?.name ?? 'without a prototype'})`
    default:
      return typeof value // undefined, symbol
  }
}

/**
 * @throws {TypeError} no number
 * @throws {RangeError} not whole, or out of range
 */
export function wholeNumber(name: string, value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  const wanted = `${name}: a whole number from ${least}${most < Number.MAX_SAFE_INTEGER ? ` to ${most}` : ''}`
  if (typeof value !== 'number') throw new TypeError(`${wanted}, not ${shown(value)}`)
  throw new RangeError(`${wanted}, not ${value}`)
}

/**
 * Milliseconds that a timer can wait.
 * @throws as `wholeNumber`
 */
export function wholeMilliseconds(name: string, value: unknown, least = 0): number {
  return wholeNumber(name, value, least, TIME_MAX)
}

/** @throws {TypeError} options are no object, or have a name that is not known */
export function checkOptions(options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw new TypeError(`options: an object, not ${shown(options)}`)
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new TypeError(`${unknown}: no such option; there are ${known.join(', ')}`)
}

/** Text of somebody else's as it may stand in a log: its first 200 characters, and none that a terminal obeys. */
export function printable(text: string): string {
  const escaped = text
    .slice(0, 200)
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${(one.codePointAt(0) as number).toString(16)}}`)
  return text.length > 200 ? `${escaped}…` : escaped
}
