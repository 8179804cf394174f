import assert from 'node:assert/strict'
import type { Parsed } from '../../src/handshake/parsed.js'
import type { Inspect, Inspected, Verdict } from '../../src/handshake/verdict.js'

/** A connection that is being looked at. */
export function inspected(address: string | null = '192.0.2.7', ended = false): Inspected {
  const local = address === null ? null : ({ address: '192.0.2.1', family: 'IPv4', port: 443 } as const)
  if (address === null) return { peer: null, local, ended }
  return { peer: { address, family: address.includes(':') ? 'IPv6' : 'IPv4', port: 40_000 }, local, ended }
}

/** Every length a stream can be cut at, or so many of them, both ends included. */
export function cuts(length: number, most = Number.POSITIVE_INFINITY): number[] {
  const step = Math.max(1, Math.ceil(length / most))
  return [...Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step), length]
}

/**
 * Reads a stream cut at any of `at`, and holds the parser to its rules: first it asks for more bytes than there are, but at
 * most `most`; then it gives one result, for ever; nothing is found before the bytes are there that were asked for; and
 * it keeps no view of what it was lent.
 * @returns what it says of the whole stream
 */
export function lawful<Result>(
  parse: (bytes: Buffer) => Parsed<Result>,
  stream: Buffer,
  most: number,
  at = cuts(stream.length),
): Parsed<Result> {
  const whole = parse(Buffer.from(stream))
  let asked = 0
  for (const cut of at) {
    const lent = Buffer.from(stream.subarray(0, cut))
    const one = parse(lent)
    lent.fill(0xa5)
    if ('more' in one) {
      assert.ok(Number.isInteger(one.more) && one.more > cut, `${one.more} asked for, with ${cut} there`)
      assert.ok(one.more <= most, `${one.more} asked for, of at most ${most}`)
      assert.ok(one.more >= asked, `${one.more} asked for, and ${asked} before`)
      assert.ok(cut < stream.length || 'more' in whole)
      asked = one.more
    } else {
      assert.deepEqual(one, whole, `cut at ${cut} of ${stream.length}`)
      if ('found' in one) assert.ok(cut >= asked, `found in ${cut} bytes, ${asked} asked for`)
    }
  }
  return whole
}

/** The same of an inspector, whose verdicts may come sooner than what was asked for. */
export function lawfulVerdict(
  inspect: Inspect,
  stream: Buffer,
  most: number,
  connection = inspected(),
  at = cuts(stream.length),
): Verdict {
  let last: Verdict | undefined
  const parsed = lawful(
    (bytes): Parsed<Verdict> => {
      const verdict = inspect(bytes, connection)
      last ??= verdict // of the whole stream, which is asked about first
      return verdict.more !== undefined ? { more: verdict.more } : { not: JSON.stringify(verdict) }
    },
    stream,
    most,
    at,
  )
  return 'more' in parsed ? parsed : (last as Verdict)
}
