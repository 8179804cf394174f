import { wholeNumber } from '../arguments.js'
import { FIRST_LINE_DEFAULT, FIRST_LINE_MAX } from '../limits.js'
import { type Destination, destinationOr, destinations, namesOf, refuse } from './destination.js'
import { type CommonKey, keyFunction, type OneOrMore, withKey } from './keys.js'
import type { Inspect } from './verdict.js'

export interface FirstLineOptions {
  /** Where lines lead, by what they start with; the longest start that fits counts. */
  routes: Record<string, Destination>
  /** When none fits. Default: refused without a word. */
  otherwise?: Destination
  /** Bytes of the line with its end; default 1024, at most 64 KiB. Longer ones are refused. */
  most?: number
  /** What connections belong together by; functions get the line, read as UTF-8. */
  key?: OneOrMore<CommonKey<string>>
}

const LF = 0x0a
const CR = 0x0d

/**
 * Sends connections where their first line leads, which ends in LF, or CR LF.
 * @throws {TypeError | RangeError} options that are none
 */
export function firstLine(options: FirstLineOptions): Inspect {
  const given = namesOf(options, 'routes', 'otherwise', 'most', 'key')
  const routes = destinations('routes', given.routes ?? null)
    .map(([start, to]) => ({ start: Buffer.from(start), to }))
    .sort((a, b) => b.start.length - a.start.length)
  const otherwise = destinationOr('otherwise', given.otherwise, refuse('', 'no route for the first line'))
  const most = wholeNumber('most', given.most ?? FIRST_LINE_DEFAULT, 1, FIRST_LINE_MAX)
  const key = keyFunction<string>(given.key, () => null, '')
  return (bytes, connection) => {
    const end = bytes.subarray(0, most).indexOf(LF)
    if (end < 0) {
      return bytes.length < most ? { more: bytes.length + 1 } : refuse('', `a first line of more than ${most} bytes`)
    }
    const line = bytes.subarray(0, end > 0 && bytes[end - 1] === CR ? end - 1 : end)
    const found = routes.find(({ start }) => line.subarray(0, start.length).equals(start))
    return withKey(found?.to ?? otherwise, key, key === null ? '' : line.toString('utf8'), connection)
  }
}
