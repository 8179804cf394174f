/** What an inspection says, made sure of: inspections are programs' own. */
import { shown } from '../arguments.js'
import type { Candidate } from './candidate.js'
import type { Header, More, Refusal, Route, Verdict } from './verdict.js'

export type Judged =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'more'; readonly more: number }
  | { readonly kind: 'refusal'; readonly refusal: Refusal }
  | { readonly kind: 'header'; readonly header: Header }
  | { readonly kind: 'failed'; readonly reason: string; readonly error: unknown }

/** Asks whoever inspects a connection. Never throws. */
export function judge(candidate: Candidate, bytes: Buffer): Judged {
  try {
    return judged(candidate.inspect(bytes, candidate), bytes.length)
  } catch (error) {
    return { kind: 'failed', reason: error instanceof Error ? error.message : String(error), error }
  }
}

function judged(verdict: Verdict, there: number): Judged {
  if (typeof verdict !== 'object' || verdict === null) {
    throw new TypeError(`inspect gave ${shown(verdict)}: a verdict is a route, { more }, { refuse } or a header`)
  }
  if (verdict instanceof Promise) throw new TypeError('inspect gave a promise: it must decide at once, or ask for more')
  if (verdict.more !== undefined) return { kind: 'more', more: checkedMore(verdict) }
  if (verdict.refuse !== undefined) return { kind: 'refusal', refusal: checkedRefusal(verdict) }
  if (verdict.header !== undefined) return { kind: 'header', header: checkedHeader(verdict, there) }
  const { group, worker, key } = verdict
  checkString('group', group)
  checkString('worker', worker)
  checkString('key', key)
  return { kind: 'route', route: verdict }
}

function checkString(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'string') throw new TypeError(`${name}: a string, not ${shown(value)}`)
}

function checkedMore({ more }: More): number {
  if (typeof more === 'number' && !Number.isNaN(more)) return more
  throw new TypeError(`more: a number of bytes in all, not ${shown(more)}`)
}

function checkedRefusal(refusal: Refusal): Refusal {
  const { refuse } = refusal
  if (typeof refuse === 'string' || refuse instanceof Uint8Array) return refusal
  throw new TypeError(`refuse: what is said to the client, a string or bytes, not ${shown(refuse)}`)
}

function checkedHeader(verdict: Header, there: number): Header {
  const { header, next } = verdict
  if (!Number.isInteger(header) || header < 1 || header > there) {
    throw new RangeError(`header: from 1 to the ${there} bytes that are there, not ${shown(header)}`)
  }
  if (next === null || typeof next === 'function') return verdict
  throw new TypeError(`next: whoever looks at what follows, or null, not ${shown(next)}`)
}
