import { basename } from 'node:path'
import { DEFAULTS, SIZES, TIMES } from '../../config/defaults.js'
import type { Settled } from '../../config/settle.js'
import { durationText, sizeText } from '../../config/units.js'

/** An option as it would be used. */
export interface Row {
  readonly key: string
  /** In words; secrets are not in it. */
  readonly value: string
  /** `default`, the configuration's name, or `option`. */
  readonly from: string
}

/** Every option with its value and where that is from. */
export function rows({ values, from, path }: Settled): Row[] {
  const known = values as Readonly<Record<string, unknown>>
  return Object.entries(DEFAULTS).map(([key, fallback]) => {
    const source = from.get(key)
    if (source === undefined) return { key, value: fallback, from: 'default' }
    const named = source === 'file' ? basename(path as string) : 'option'
    return { key, value: textOf(key, known[key]), from: named }
  })
}

function textOf(key: string, value: unknown): string {
  if (typeof value === 'number' && TIMES.has(key)) return durationText(value)
  if (typeof value === 'number' && SIZES.has(key)) return sizeText(value)
  if (key === 'env') return Object.keys(value as object).join(' ') // values may be secrets
  if (typeof value === 'string') return value
  return JSON.stringify(value, (name, one) => {
    if (name === 'token') return '(set)'
    if (name === 'env' && typeof one === 'object') return Object.keys(one as object)
    return typeof one === 'function' ? '(function)' : one
  }) as string
}
