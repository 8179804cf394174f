import { HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX } from '../limits.js'
import type { Parsed } from './parsed.js'
import {
  type Http2Preface,
  headTooLong,
  hostOf,
  isTokenCharacter,
  parseRequestLine,
  type RequestLine,
} from './request-line.js'

/** The head of a request of HTTP/1. */
export interface RequestHead extends RequestLine {
  /** In lower case, without its port; of the target if that has one, else of the header; empty if neither has. */
  readonly host: string
  /** By name in lower case: the values in the order they came, one character a byte. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  /** By name: the first value of each, as it came but for quotes around it. */
  readonly cookies: ReadonlyMap<string, string>
}

const CR = 0x0d
const COLON = 0x3a
const NO_COOKIES: ReadonlyMap<string, string> = new Map<string, string>()

/**
 * Reads the head of a request, or the preface of HTTP/2. Strict, as the line is: folded lines, control characters, blanks
 * before a colon, a missing Host (in HTTP/1.1), more than one, or one that contradicts the target make it none.
 * Borrows the bytes; what is found is a copy.
 * @see RFC 9112, 3.2 and 5; RFC 6265, 4.2
 */
export function parseRequestHead(bytes: Buffer): Parsed<RequestHead | Http2Preface> {
  const first = parseRequestLine(bytes)
  if (!('found' in first) || first.found.version === '2') return first as Parsed<Http2Preface>
  const line = first.found as RequestLine
  // As text at once: a call on a Buffer costs more than a short line that is gone through here.
  const text = bytes.toString('latin1', line.end, HTTP_HEAD_BYTES_MAX)
  const end = endOfHead(text)
  if (end < 0) return bytes.length < HTTP_HEAD_BYTES_MAX ? { more: bytes.length + 1 } : headTooLong
  const headers = readHeaders(text, end)
  if (headers === null) return { not: 'a malformed header' }
  const host = decideHost(line, headers.get('host'))
  if (host === null) return { not: 'no Host, an invalid one, or several' }
  const cookies = headers.get('cookie')
  return { found: withHeaders(line, host, headers, cookies === undefined ? NO_COOKIES : readCookies(cookies)) }
}

/** Field by field: to spread the line here would take longer than all the rest of the parsing. */
export function withHeaders(
  { version, method, target, path, query, authority, end }: RequestLine,
  host: string,
  headers: RequestHead['headers'],
  cookies: RequestHead['cookies'],
): RequestHead {
  return { version, method, target, path, query, authority, end, host, headers, cookies }
}

/** The position of the LF before the empty line; -1 if there is none yet. */
function endOfHead(text: string): number {
  const crlf = text.indexOf('\n\r\n')
  const lf = text.indexOf('\n\n')
  return crlf < 0 || (lf >= 0 && lf < crlf) ? lf : crlf
}

/** The lines between the LF that the text starts with and the one at `end`; null if they are no headers. */
function readHeaders(text: string, end: number): Map<string, string[]> | null {
  const headers = new Map<string, string[]>()
  let count = 0
  for (let at = 1; at <= end; ) {
    const lineEnd = text.indexOf('\n', at)
    let colon = at
    while (isTokenCharacter(text.charCodeAt(colon))) colon += 1 // ends at the LF, if not before
    if (colon === at || text.charCodeAt(colon) !== COLON || ++count > HTTP_HEADERS_MAX) return null
    const value = headerValue(text, colon + 1, lineEnd)
    if (value === null) return null
    const name = text.slice(at, colon).toLowerCase()
    const values = headers.get(name)
    if (values === undefined) headers.set(name, [value])
    else values.push(value)
    at = lineEnd + 1
  }
  return headers
}

/** What stands before the LF at `lineEnd`, without a CR and the blanks around it; null if it has control characters. */
function headerValue(text: string, from: number, lineEnd: number): string | null {
  let start = from
  let end = lineEnd > from && text.charCodeAt(lineEnd - 1) === CR ? lineEnd - 1 : lineEnd
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return null
  }
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** The target's host counts, if it has one; a Host that says otherwise is what some servers would believe: null. */
function decideHost({ version, authority }: RequestLine, values: readonly string[] | undefined): string | null {
  if (values === undefined) return version === '1.0' ? (authority ?? '') : null
  const host = values.length === 1 ? hostOf(values[0] as string) : null
  return authority === null || host === authority ? host : null
}

function readCookies(lines: readonly string[]): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>()
  for (const pair of lines.flatMap((line) => line.split(';'))) {
    const equals = pair.indexOf('=')
    if (equals < 0) continue
    const [name, value] = [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()]
    const quoted = value.length > 1 && value.startsWith('"') && value.endsWith('"')
    if (!cookies.has(name)) cookies.set(name, quoted ? value.slice(1, -1) : value)
  }
  return cookies
}
