import type { z } from 'zod'
import { shown } from '../arguments.js'
import { insteadOfPm2 } from './pm2-keys.js'
import { UsageError } from './usage-error.js'

type Issue = z.core.$ZodIssue

/** A configuration with faults: one line each, with its file, the key, what may stand there and what does. */
export class ConfigError extends UsageError {
  constructor(readonly faults: readonly string[]) {
    super(faults.join('\n'))
  }
}

/** What stands at these keys is not shown. */
const SECRET = /(^|\.)token$/

/** Every issue in words. @param known  the keys there are at a path */
export function faultsOf(
  file: string,
  value: unknown,
  issues: readonly Issue[],
  known: (path: readonly PropertyKey[]) => readonly string[],
): string[] {
  return issues.flatMap((issue) => faultOf(value, issue, known)).map((fault) => `${file}: ${fault}`)
}

function faultOf(
  value: unknown,
  issue: Issue,
  known: (path: readonly PropertyKey[]) => readonly string[],
  above: readonly PropertyKey[] = [],
): string[] {
  const path = [...above, ...issue.path]
  if (issue.code === 'invalid_union') return unionFaults(value, issue.errors, path, known)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${keyText([...path, key])}: no such key; ${suggestion(path, key, known(path))}`)
  }
  const allowed = issue.code === 'custom' ? issue.message : structure(issue, path, known)
  return [`${path.length === 0 ? '' : `${keyText(path)}: `}${allowed}, not ${given(value, path)}`]
}

function structure(
  issue: Issue,
  path: readonly PropertyKey[],
  known: (path: readonly PropertyKey[]) => readonly string[],
) {
  const isList = issue.code === 'invalid_type' && issue.expected === 'array'
  if (isList) return `a list of objects with ${known([...path, 0]).join(', ')}`
  return `an object with ${known(path).join(', ') || 'names as keys'}`
}

/** Of the forms a value may have, the one it was meant to have: an object's faults are inside it. */
function unionFaults(
  value: unknown,
  forms: readonly (readonly Issue[])[],
  path: readonly PropertyKey[],
  known: (path: readonly PropertyKey[]) => readonly string[],
): string[] {
  const inner = forms.find((issues) =>
    issues.every(({ code, path }) => path.length > 0 || code === 'unrecognized_keys'),
  )
  if (inner !== undefined) return inner.flatMap((issue) => faultOf(value, issue, known, path))
  const texts = forms.flatMap((issues) => issues.map((issue) => faultOf(value, issue, known, path)[0] as string))
  const prefix = `${keyText(path)}: `
  const allowed = texts.map((text) => text.slice(prefix.length).replace(/, not [^,]*$/, ''))
  return [`${prefix}${[...new Set(allowed)].join(', or ')}, not ${given(value, path)}`]
}

/** A place in the configuration, as one would write it: `groups.api.workers`, `listen[0]`. */
export function keyText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    return text === '' ? String(key) : `${text}.${String(key)}`
  }, '')
}

function given(value: unknown, path: readonly PropertyKey[]): string {
  const found = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value)
  if (found !== undefined && SECRET.test(keyText(path))) return 'what is there'
  if (Array.isArray(found)) return `the list ${short(found)}`
  return found === undefined ? 'nothing' : shown(found)
}

function short(list: readonly unknown[]): string {
  const text = JSON.stringify(list, (_, one) => (typeof one === 'bigint' || typeof one === 'function' ? '…' : one))
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

function suggestion(path: readonly PropertyKey[], key: string, known: readonly string[]): string {
  const instead = path.length === 0 ? insteadOfPm2(key) : null
  if (instead !== null) return `in place of PM2's: ${instead}`
  const nearest = known
    .map((name) => [name, distance(key.toLowerCase(), name.toLowerCase())] as const)
    .sort(([, a], [, b]) => a - b)[0]
  const near = nearest !== undefined && nearest[1] <= Math.max(2, Math.floor(key.length / 3))
  return near ? `did you mean ${nearest[0]}?` : `there are ${known.join(', ')}`
}

/** Letters to put in, take out, change or swap with the next, until one is the other. */
function distance(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, i) => i)]
  const at = (row: number, column: number): number => rows[row]?.[column] as number
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    rows.push(row)
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1] ? 0 : 1
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      row[j] = Math.min(at(i - 1, j) + 1, (row[j - 1] as number) + 1, at(i - 1, j - 1) + same)
      if (swapped) row[j] = Math.min(row[j] as number, at(i - 2, j - 2) + 1)
    }
  }
  return at(from.length, to.length)
}
