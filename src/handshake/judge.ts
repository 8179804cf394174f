/** What an inspection says, made sure of: inspections are programs' own. */
import { shown } from '../arguments.js'
import { checkProxied } from '../transport/proxied.js'
import type { Candidate } from './candidate.js'
import type { Header, More, Refusal, Route, Verdict } from './verdict.js'

export type Judged =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'more'; readonly more: number }
  | { readonly kind: 'refusal'; readonly refusal: Refusal }
  | { readonly kind: 'header'; readonly header: Header }
  | { readonly kind: 'failed'; readonly reason: string; readonly error: unknown }

/**
 * Asks whoever inspects a connection. Never throws.
 * @param groups  those that there are; null: any
 */
export function judge(candidate: Candidate, bytes: Buffer, groups: readonly string[] | null): Judged {
  try {
    return judged(candidate.inspect(bytes, candidate), bytes.length, groups)
  } catch (error) {
    return { kind: 'failed', reason: textOf(error), error }
  }
}

/** What was thrown, which may be anything, in words. */
function textOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error)
  } catch {
    return 'it threw something that cannot be shown'
  }
}

function judged(verdict: Verdict, there: number, groups: readonly string[] | null): Judged {
  if (typeof verdict !== 'object' || verdict === null) {
    throw new TypeError(`inspect gave ${shown(verdict)}: a verdict is a route, { more }, { refuse } or a header`)
  }
  if (verdict instanceof Promise) {
    verdict.catch(() => {}) // what it rejects with is of no interest any more
    throw new TypeError('inspect gave a promise: it must decide at once, or ask for more')
  }
  if (verdict.more !== undefined) return { kind: 'more', more: checkedMore(verdict) }
  if (verdict.refuse !== undefined) return { kind: 'refusal', refusal: checkedRefusal(verdict) }
  if (verdict.header !== undefined) return { kind: 'header', header: checkedHeader(verdict, there) }
  checkText('group', verdict.group)
  checkText('worker', verdict.worker)
  checkText('key', verdict.key)
  if (groups !== null && verdict.group !== undefined && !groups.includes(verdict.group)) {
    throw new RangeError(`there is no group ${JSON.stringify(verdict.group)}`) // else it would wait for nobody
  }
  return { kind: 'route', route: verdict }
}

function checkText(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'string') throw new TypeError(`${name}: a string, not ${shown(value)}`)
}

function checkedMore({ more }: More): number {
  if (typeof more === 'number' && !Number.isNaN(more)) return more
  throw new TypeError(`more: a number of bytes in all, not ${shown(more)}`)
}

function checkedRefusal(refusal: Refusal): Refusal {
  const { refuse, reason } = refusal
  checkText('reason', reason)
  if (typeof refuse === 'string' || refuse instanceof Uint8Array) return refusal
  throw new TypeError(`refuse: what is said to the client, a string or bytes, not ${shown(refuse)}`)
}

function checkedHeader(verdict: Header, there: number): Header {
  const { header, next } = verdict
  if (!Number.isInteger(header) || header < 1 || header > there) {
    throw new RangeError(`header: from 1 to the ${there} bytes that are there, not ${shown(header)}`)
  }
  if (next !== null && typeof next !== 'function') {
    throw new TypeError(`next: whoever looks at what follows, or null, not ${shown(next)}`)
  }
  if (verdict.proxied) checkProxied(verdict.proxied)
  return verdict
}
