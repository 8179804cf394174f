/** Bytes each of which tells its place in a stream: what is lost, doubled or out of order shows at once, and where. */

const PERIOD = 65_521
/** Longest piece that `numbered` gives. */
export const PIECE_MAX = 2 * PERIOD

const table = Buffer.alloc(PERIOD + PIECE_MAX)
let random = 0x2545f491
for (let i = 0; i < PERIOD; i++) {
  random ^= random << 13
  random ^= random >>> 17
  random ^= random << 5
  table[i] = random
}
for (let i = PERIOD; i < table.length; i++) table[i] = table[i - PERIOD] as number

/** So many bytes of a stream, from a place on. Borrowed: do not write to them. */
export function numbered(stream: number, from: number, count: number): Buffer {
  const start = (stream * 7_919 + from) % PERIOD
  return table.subarray(start, start + count)
}

/** What is wrong with a piece that came where `from` bytes were before it; null: nothing. */
export function fault(stream: number, from: number, piece: Buffer): string | null {
  for (let at = 0; at < piece.length; at += PIECE_MAX) {
    const part = piece.subarray(at, at + PIECE_MAX)
    if (part.equals(numbered(stream, from + at, part.length))) continue
    const wrong = part.findIndex((byte, index) => byte !== numbered(stream, from + at + index, 1)[0])
    const found = table.indexOf(part.subarray(wrong, wrong + 16))
    const place = found < 0 ? 'nowhere' : (found - stream * 7_919 - from - at - wrong) % PERIOD
    return `stream ${stream}: byte ${from + at + wrong} (${at + wrong} of a piece of ${piece.length}) is another's, ${place} off`
  }
  return null
}
