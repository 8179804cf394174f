import { randomBytes } from 'node:crypto'

const RANDOM_BYTES = 18
const RANDOM_TEXT = 24
const WORKER_MAX = 64

/**
 * A new id for a session, unguessable, that leads back to this worker: `3~q1w2…`, with 24 characters of base64url behind
 * the worker's id; outside a worker only these. It fits cookies, URLs, and `engine.generateId` of socket.io.
 */
export function sessionId(): string {
  const random = randomBytes(RANDOM_BYTES).toString('base64url')
  const worker = process.env.HANDOVER_WORKER
  return worker ? `${worker}~${random}` : random
}

/**
 * The worker that an id of `sessionId` leads to; null if the text is no such id. The id may be signed, as express-session
 * does it in cookies: `s:` (or `s%3A`) before it, `.` and the signature behind.
 */
export function workerOfSession(text: string): string | null {
  const start = text.startsWith('s:') ? 2 : text.startsWith('s%3A') ? 4 : 0
  const tilde = text.indexOf('~', start)
  if (tilde <= start || tilde - start > WORKER_MAX) return null
  const end = tilde + 1 + RANDOM_TEXT
  if (end > text.length || (end < text.length && (start === 0 || text[end] !== '.'))) return null
  for (let i = start; i < end; i++) if (i !== tilde && !isIdCharacter(text.charCodeAt(i))) return null
  return text.slice(start, tilde)
}

/** Letters, digits, `-` and `_`. */
function isIdCharacter(code: number): boolean {
  const letter = code | 0x20
  return (letter >= 0x61 && letter <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f
}
