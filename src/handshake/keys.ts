import { shown } from '../arguments.js'
import type { Connection } from '../transport/arrivals.js'
import { type AddressBits, addressKeyOf } from './address-key.js'
import { workerOfSession } from './session-id.js'
import type { Inspected, Refusal, Route } from './verdict.js'

/** Says by what connections belong together; undefined: by nothing. What it throws, the inspector throws. */
export type KeyFunction<Seen> = (seen: Seen, connection: Connection) => string | undefined

/** A key that every inspector knows: where the client comes from, or what a function says. */
export type CommonKey<Seen> = 'address' | { address: AddressBits } | KeyFunction<Seen>

/** One of them, or several: the first that yields a key counts. */
export type OneOrMore<Key> = Key | readonly Key[]

/** Reads a kind of key that only one inspector knows; null: it is none of that kind. */
export type OwnKey<Seen> = (key: unknown) => KeyFunction<Seen> | null

/**
 * A key option as one function.
 * @param known  the kinds that `own` knows, for errors
 * @throws {TypeError | RangeError} no such key
 */
export function keyFunction<Seen>(key: unknown, own: OwnKey<Seen>, known: string): KeyFunction<Seen> | null {
  if (key === undefined) return null
  const all = (Array.isArray(key) ? key : [key]).map((one: unknown) => oneKey(one, own, known))
  return (seen, connection) => {
    for (const one of all) {
      const value = one(seen, connection)
      if (typeof value === 'string' && value !== '') return value
    }
    return undefined
  }
}

function oneKey<Seen>(key: unknown, own: OwnKey<Seen>, known: string): KeyFunction<Seen> {
  if (typeof key === 'function') return key as KeyFunction<Seen>
  if (key === 'address') return oneKey({ address: {} }, own, known)
  const names = typeof key === 'object' && key !== null ? Object.keys(key) : []
  if (names.length === 1 && names[0] === 'address') {
    const address = addressKeyOf((key as { address: AddressBits }).address)
    return (_, connection) => address(connection)
  }
  const special = own(key)
  if (special !== null) return special
  const value = typeof key === 'object' && key !== null ? JSON.stringify(key) : shown(key)
  throw new TypeError(`key: ${known}'address', { address: { v4, v6 } }, a function, or several of them, not ${value}`)
}

/**
 * A destination with its key, unless it is a refusal, or says itself which worker it is. A session id leads to its worker.
 */
export function withKey<Seen>(
  to: Route | Refusal,
  key: KeyFunction<Seen> | null,
  seen: Seen,
  connection: Inspected,
): Route | Refusal {
  if (key === null || 'refuse' in to || to.key !== undefined || to.worker !== undefined) return to
  const value = key(seen, connection)
  if (typeof value !== 'string') return to
  const worker = workerOfSession(value)
  return worker === null ? { ...to, key: value } : { ...to, worker, key: value }
}
