import type { More } from './verdict.js'

/** The bytes are something else, and stay so whatever comes behind them. */
export interface NotIt {
  /** Why: a few words, none of them the client's. */
  readonly not: string
}

export interface Found<Result> {
  readonly found: Result
}

/**
 * What a parser of first bytes says. Parsers here are total: any bytes give one of these, in time linear in their number.
 * They are monotone: what is found in some bytes, or not it, is so in all that begin with them.
 */
export type Parsed<Result> = More | NotIt | Found<Result>
