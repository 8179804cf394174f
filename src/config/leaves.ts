import { z } from 'zod'
import { duration, durationText, size, sizeText } from './units.js'

/** What a leaf's check gives for a value that is not allowed. */
const WRONG = Symbol('wrong')

/** A value of its own kind; `allowed` is what a fault says there may be, and so does docs/config.md. */
export function leaf<Given, Settled = Given>(allowed: string, settle: (value: unknown) => Settled | typeof WRONG) {
  return z.custom<Given>().transform((value, context): Settled => {
    const settled = settle(value)
    if (settled !== WRONG) return settled
    context.addIssue({ code: 'custom', message: allowed })
    return z.NEVER
  })
}

const when = <Value>(holds: boolean, value: Value): Value | typeof WRONG => (holds ? value : WRONG)

export function whole(least: number, most = Number.MAX_SAFE_INTEGER) {
  const allowed = `a whole number from ${least}${most < Number.MAX_SAFE_INTEGER ? ` to ${most}` : ''}`
  return leaf<number>(allowed, (value) => when(isWhole(value, least, most), value as number))
}

export function wholeOrMax(least: number, most: number) {
  const allowed = `a whole number from ${least} to ${most}, or 'max' for one per core`
  return leaf<number | 'max'>(allowed, (value) =>
    when(value === 'max' || isWhole(value, least, most), value as number | 'max'),
  )
}

const DURATIONS = "seconds, or a number with ms, s, m, h or d ('30s')"

/** @returns a leaf that settles to milliseconds */
export function time(least: number, most: number) {
  return leaf<number | string, number>(`${DURATIONS}, ${bounds(least, most)}`, (value) =>
    milliseconds(value, least, most),
  )
}

/** @returns a leaf that settles to milliseconds, or false */
export function timeOrFalse(least: number, most: number) {
  const allowed = `${DURATIONS}, ${bounds(least, most)}, or false`
  return leaf<number | string | false, number | false>(allowed, (value) =>
    value === false ? false : milliseconds(value, least, most),
  )
}

/** @returns a leaf that settles to bytes */
export function bytes(least: number) {
  return leaf<number | string, number>(
    `bytes, or a number with kb, mb or gb ('512mb'), at least ${sizeText(least)}`,
    (value) => {
      const settled = size(value)
      return settled !== null && settled >= least ? settled : WRONG
    },
  )
}

export const yesOrNo = () =>
  leaf<boolean>('true or false', (value) => when(typeof value === 'boolean', value as boolean))

export const text = (allowed: string, fits = /./) =>
  leaf<string>(allowed, (value) => when(typeof value === 'string' && fits.test(value), value as string))

export const texts = (allowed: string) =>
  leaf<readonly string[]>(allowed, (value) => when(isTexts(value), value as readonly string[]))

/** One of several words. */
export function word<Word extends string>(...words: readonly Word[]) {
  return leaf<Word>(words.map((one) => `'${one}'`).join(' or '), (value) =>
    when(words.includes(value as Word), value as Word),
  )
}

/** Values of the environment, each made a text; null takes one away. */
export const environment = () =>
  leaf<Readonly<Record<string, string | number | boolean | null | undefined>>, Record<string, string | null>>(
    'an object of texts, numbers, booleans, or null to take a variable away',
    (value) => {
      if (!isObject(value)) return WRONG
      const given = Object.entries(value).filter(([, one]) => one !== undefined)
      if (!given.every(([name, one]) => isVariable(name, one))) return WRONG
      return Object.fromEntries(given.map(([name, one]) => [name, one === null ? null : String(one)]))
    },
  )

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

export function isWhole(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
}

export { WRONG }

function isVariable(name: string, value: unknown): boolean {
  const kinds = ['string', 'number', 'boolean']
  return /^[^=\0]+$/.test(name) && (value === null || (kinds.includes(typeof value) && !String(value).includes('\0')))
}

function milliseconds(value: unknown, least: number, most: number): number | typeof WRONG {
  const settled = duration(value)
  return settled !== null && settled >= least && settled <= most ? settled : WRONG
}

function bounds(least: number, most: number): string {
  return `from ${least === 0 ? '0' : durationText(least)} to ${durationText(most)}`
}
