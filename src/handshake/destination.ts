import { checkOptions, shown } from '../arguments.js'
import type { Refusal, Route } from './verdict.js'

/** Where a kind of connections is to go: a group of workers by its name, anything a route can say, or nowhere. */
export type Destination = string | Route | Refusal

const ROUTE = ['group', 'worker', 'key'] as const

/** Turns a connection away, with a word to its client before the end, or none. */
export function refuse(text: string | Uint8Array = '', reason?: string): Refusal {
  return reason === undefined ? { refuse: text } : { refuse: text, reason }
}

/**
 * A destination as a verdict, checked and copied.
 * @param option  what it is called in errors
 * @throws {TypeError} it is none
 */
export function destination(option: string, value: unknown): Route | Refusal {
  if (typeof value === 'string' && value !== '') return { group: value }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(
      `${option}: the name of a group, { group, worker, key } or { refuse, reason }, not ${shown(value)}`,
    )
  }
  const fields = value as Record<string, unknown>
  const refusal = fields.refuse !== undefined
  const known: readonly string[] = refusal ? ['refuse', 'reason'] : ROUTE
  for (const [name, field] of Object.entries(fields)) {
    if (!known.includes(name)) {
      throw new TypeError(
        `${option}.${name}: no such field of a ${refusal ? 'refusal' : 'route'}; there are ${known.join(', ')}`,
      )
    }
    if (name === 'refuse' ? typeof field === 'string' || field instanceof Uint8Array : typeof field === 'string')
      continue
    if (field === undefined && name !== 'refuse') continue
    throw new TypeError(`${option}.${name}: text${name === 'refuse' ? ' or bytes' : ''}, not ${shown(field)}`)
  }
  if (refusal) return { refuse: fields.refuse as string | Uint8Array, ...pick(fields, ['reason']) }
  return pick(fields, ROUTE)
}

/** The same where it may be left out. */
export function destinationOr<Else>(option: string, value: unknown, otherwise: Else): Route | Refusal | Else {
  return value === undefined ? otherwise : destination(option, value)
}

/**
 * Destinations by what leads to them.
 * @throws {TypeError} no such object
 */
export function destinations(option: string, value: unknown): [string, Route | Refusal][] {
  if (value === undefined) return []
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${option}: an object of destinations, not ${shown(value)}`)
  }
  return Object.entries(value).map(([name, to]) => [name, destination(`${option}[${JSON.stringify(name)}]`, to)])
}

/** Options as they are checked: any of these names, each with any value yet. */
export function namesOf(options: unknown, ...known: string[]): Record<string, unknown> {
  checkOptions(options, known)
  return options as Record<string, unknown>
}

function pick(fields: Record<string, unknown>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (fields[name] === undefined ? [] : [[name, fields[name] as string]])),
  )
}
