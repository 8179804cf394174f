import { checkOptions, shown, wholeMilliseconds, wholeNumber } from '../../arguments.js'
import {
  CRASH_LOOP_DEATHS,
  CRASH_LOOP_WITHIN,
  HEARTBEAT_DEFAULT,
  HEARTBEAT_MAX,
  HUNG_DEFAULT,
  MISSED_BEATS_MIN,
} from '../../limits.js'
import { type PlaceProcessors, settleAffinity } from '../workers/affinity.js'

/** What a supervisor knows of its workers, and does about it. Times are milliseconds. */
export interface CareOptions {
  /** Between two signs of life of a worker, 1 … 60,000; false: none, and nothing that needs them. Default 1,000. */
  heartbeat?: number | false
  /**
   * Without a sign of life, after which a worker is hung: it gets no more connections and is replaced. At least three
   * heartbeats; false: never. Default 10,000, or three heartbeats. Workers under a debugger (`--inspect`) never are.
   */
  hungAfter?: number | false
  /** Bytes of resident memory (of a thread: of its heap and buffers) over which a worker is replaced. Default: no limit. */
  maxMemory?: number
  /** Event-loop lag, in several heartbeats in a row, over which a worker is replaced. Default: no limit. */
  maxLag?: number
  /**
   * A place where so many workers died within so long is given up; when all are, everything stops. `reload` fills them
   * again. Default 5 deaths within 30,000; false: never.
   */
  crashLoop?: { deaths?: number; within?: number } | false
  /**
   * The processors that workers run on: 'spread' gives each the next of those this process may use; a list gives the
   * first place its first entry, and so on round about. Linux, and processes only. Default: wherever the kernel likes.
   */
  affinity?: 'spread' | readonly (readonly number[])[]
}

export const CARE_OPTIONS: readonly (keyof CareOptions)[] = [
  'heartbeat',
  'hungAfter',
  'maxMemory',
  'maxLag',
  'crashLoop',
  'affinity',
]

/** The same with every bound checked and every default filled in. No limit is Infinity. */
export interface SettledCare {
  /** 0: none. */
  heartbeat: number
  hungAfter: number
  maxMemory: number
  maxLag: number
  crashLoop: { deaths: number; within: number }
  /** Null: wherever the kernel likes. */
  affinity: PlaceProcessors | null
}

const NEVER = Number.POSITIVE_INFINITY

/** @throws {TypeError | RangeError | SyscallError} an option of the wrong type or out of range, by its name */
export function settleCare(options: CareOptions, threads: boolean): SettledCare {
  const { heartbeat = HEARTBEAT_DEFAULT, affinity } = options
  const beat = heartbeat === false ? 0 : wholeNumber('heartbeat', heartbeat, 1, HEARTBEAT_MAX)
  for (const name of ['hungAfter', 'maxMemory', 'maxLag'] as const) {
    if (beat === 0 && options[name] !== undefined && options[name] !== false) {
      throw new TypeError(`${name}: not without \`heartbeat\`, by which workers tell`)
    }
  }
  return {
    heartbeat: beat,
    hungAfter: hungAfter(options.hungAfter, beat),
    maxMemory: options.maxMemory === undefined ? NEVER : wholeNumber('maxMemory', options.maxMemory, 1),
    maxLag: options.maxLag === undefined ? NEVER : wholeMilliseconds('maxLag', options.maxLag, 1),
    crashLoop: crashLoop(options.crashLoop),
    affinity: affinity === undefined ? null : settleAffinity(affinity, threads),
  }
}

function hungAfter(given: number | false | undefined, heartbeat: number): number {
  if (given === false || heartbeat === 0) return NEVER
  const least = MISSED_BEATS_MIN * heartbeat
  if (given === undefined) return Math.max(HUNG_DEFAULT, least)
  const asked = wholeMilliseconds('hungAfter', given)
  if (asked >= least) return asked
  const beats = `${MISSED_BEATS_MIN} times \`heartbeat\`, which is ${heartbeat} ms`
  throw new RangeError(`hungAfter: at least ${least} ms, ${beats}, not ${asked} ms; or a shorter \`heartbeat\``)
}

function crashLoop(given: CareOptions['crashLoop'] = {}): SettledCare['crashLoop'] {
  if (given === false) return { deaths: NEVER, within: 0 }
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`crashLoop: { deaths, within } or false, not ${shown(given)}`)
  }
  checkOptions(given, ['deaths', 'within'])
  return {
    deaths: wholeNumber('crashLoop.deaths', given.deaths ?? CRASH_LOOP_DEATHS, 1),
    within: wholeMilliseconds('crashLoop.within', given.within ?? CRASH_LOOP_WITHIN, 1),
  }
}
