import { type CommonKey, type KeyFunction, keyFunction, type OneOrMore } from './keys.js'
import type { RequestHead } from './request-head.js'

/** By what the connections of HTTP belong together. Keys that are session ids lead to the worker that made them. */
export type HttpKey = { cookie: string } | { header: string } | { query: string } | CommonKey<RequestHead>

export interface CompiledHttpKey {
  readonly of: KeyFunction<RequestHead> | null
  /** Where there is no head, as with HTTP/2: what of it the address alone tells. */
  readonly withoutHead: KeyFunction<unknown> | null
  /** The first line does not tell it. */
  readonly needsHead: boolean
}

/** @throws {TypeError | RangeError} no such key */
export function httpKey(key: OneOrMore<HttpKey> | undefined): CompiledHttpKey {
  const of = keyFunction<RequestHead>(key, ownKey, '{ cookie }, { header }, { query }, ')
  const all: unknown[] = Array.isArray(key) ? key : [key]
  const withoutHead = keyFunction<unknown>(all.filter(isAddress), () => null, '')
  return { of, withoutHead, needsHead: of !== null && all.some(needsHead) }
}

function ownKey(key: unknown): KeyFunction<RequestHead> | null {
  if (typeof key !== 'object' || key === null || Object.keys(key).length !== 1) return null
  const [[kind, name]] = Object.entries(key) as [[string, unknown]]
  if (typeof name !== 'string' || name === '') return null
  if (kind === 'cookie') return ({ cookies }) => cookies.get(name)
  if (kind === 'header') return ({ headers }) => headers.get(name.toLowerCase())?.[0]
  if (kind === 'query') return ({ query }) => (query === null ? undefined : queryValue(query, name))
  return null
}

function queryValue(query: string, name: string): string | undefined {
  return new URLSearchParams(query).get(name) ?? undefined
}

function isAddress(key: unknown): boolean {
  return key === 'address' || (typeof key === 'object' && key !== null && 'address' in key)
}

function needsHead(key: unknown): boolean {
  if (typeof key === 'function') return true
  return typeof key === 'object' && key !== null && ('cookie' in key || 'header' in key)
}
