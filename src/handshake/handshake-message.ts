import { CLIENT_HELLO_BYTES_MAX, CLIENT_HELLO_RECORDS_MAX } from '../limits.js'
import type { Parsed } from './parsed.js'

const RECORD_HEADER = 5
const MESSAGE_HEADER = 4
const HANDSHAKE = 22
const CLIENT_HELLO = 1
/** Bytes a record carries at most before there is encryption (RFC 8446, 5.1). */
const RECORD_MAX = 0x4000

const tooLong = { not: `a ClientHello of more than ${CLIENT_HELLO_BYTES_MAX} bytes` }

/**
 * Collects the ClientHello from the TLS records it comes in, in however many pieces.
 * @returns its body, without the header of the message; a view of the bytes where it came in one piece
 * @see RFC 8446, 4 and 5.1
 */
export function clientHelloMessage(bytes: Buffer): Parsed<Buffer> {
  const pieces: Buffer[] = []
  let collected = 0
  let header = 0 // the first bytes of the message, as far as they are known
  let needed = MESSAGE_HEADER
  for (let start = 0; ; ) {
    if (start + RECORD_HEADER > CLIENT_HELLO_BYTES_MAX) return tooLong
    const wrong = wrongInRecord(bytes, start)
    if (wrong !== null) return { not: wrong }
    if (start + RECORD_HEADER > bytes.length) return { more: start + RECORD_HEADER }
    if (pieces.length === CLIENT_HELLO_RECORDS_MAX) {
      return { not: `a ClientHello in more than ${CLIENT_HELLO_RECORDS_MAX} records` }
    }
    const end = start + RECORD_HEADER + bytes.readUInt16BE(start + 3)
    const piece = bytes.subarray(start + RECORD_HEADER, end)
    for (let i = 0; i < piece.length && collected + i < MESSAGE_HEADER; i++) {
      header = header * 256 + (piece[i] as number)
      if (collected + i === 0 && header !== CLIENT_HELLO)
        return { not: 'a TLS handshake that starts with no ClientHello' }
      if (collected + i === MESSAGE_HEADER - 1) needed = MESSAGE_HEADER + (header & 0xffffff)
    }
    // Where the message ends, or this record, if that comes first: as much is needed in any case.
    const reach = Math.min(end, start + RECORD_HEADER + needed - collected)
    if (reach > CLIENT_HELLO_BYTES_MAX || needed > CLIENT_HELLO_BYTES_MAX) return tooLong
    pieces.push(piece)
    collected += piece.length
    if (collected >= needed) {
      const whole = pieces.length === 1 ? piece : Buffer.concat(pieces, collected)
      return { found: whole.subarray(MESSAGE_HEADER, needed) }
    }
    if (end > bytes.length) return { more: reach }
    start = end
  }
}

/** What is wrong with the header of a record, as far as it has come. */
function wrongInRecord(bytes: Buffer, start: number): string | null {
  const [type, major] = [bytes[start], bytes[start + 1]]
  if (type !== undefined && type !== HANDSHAKE) return 'no TLS handshake'
  if (major !== undefined && major !== 3) return 'a TLS record of an unknown version'
  if (start + RECORD_HEADER > bytes.length) return null
  const length = bytes.readUInt16BE(start + 3)
  return length === 0 || length > RECORD_MAX ? 'a TLS record of a wrong length' : null
}
