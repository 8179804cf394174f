/** IP addresses as bytes: what to mask, compare and write in one way only. */
import { isIPv4, isIPv6 } from 'node:net'

/** The 4 or 16 bytes of a numeric address, without its scope; null if it is none. */
export function addressBytes(text: string): Uint8Array | null {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number)
  const scope = text.indexOf('%')
  const numeric = scope < 0 ? text : text.slice(0, scope)
  return isIPv6(numeric) ? ipv6Bytes(numeric) : null
}

function ipv6Bytes(text: string): Uint8Array {
  const dotted = text.includes('.') ? text.slice(text.lastIndexOf(':') + 1) : ''
  const words = dotted === '' ? text : text.slice(0, text.length - dotted.length).replace(/([^:]):$/, '$1')
  const tail = dotted === '' ? [] : dotted.split('.').map(Number)
  const gap = words.indexOf('::')
  const [before, after] = gap < 0 ? [words, ''] : [words.slice(0, gap), words.slice(gap + 2)]
  const bytes = new Uint8Array(16)
  bytes.set(wordBytes(before), 0)
  const end = [...wordBytes(after), ...tail]
  bytes.set(end, 16 - end.length)
  return bytes
}

function wordBytes(words: string): number[] {
  if (words === '') return []
  return words.split(':').flatMap((word) => {
    const value = Number.parseInt(word, 16)
    return [value >> 8, value & 0xff]
  })
}

/** The 4 bytes of an IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`); others as they are. */
export function unmapped(bytes: Uint8Array): Uint8Array {
  const mapped = bytes.length === 16 && bytes[10] === 0xff && bytes[11] === 0xff && allZero(bytes, 0, 10)
  return mapped ? bytes.subarray(12) : bytes
}

function allZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false
  return true
}

/** The text of 4 or 16 bytes, as systems write it: lower case, the longest run of zeros left out (RFC 5952). */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number))
  let [start, longest] = [-1, 1]
  for (let from = 0; from < 8; from++) {
    let to = from
    while (to < 8 && words[to] === 0) to += 1
    if (to - from > longest) [start, longest] = [from, to - from]
    from = Math.max(from, to - 1)
  }
  const hex = (from: number, to: number): string =>
    words
      .slice(from, to)
      .map((word) => word.toString(16))
      .join(':')
  if (start === 0 && longest === 5 && words[5] === 0xffff) return `::ffff:${bytes.subarray(12).join('.')}`
  return start < 0 ? hex(0, 8) : `${hex(0, start)}::${hex(start + longest, 8)}`
}

/** A copy of the address with all but the first `bits` set to zero. */
export function masked(bytes: Uint8Array, bits: number): Uint8Array {
  return bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i))) & 0xff)
}
