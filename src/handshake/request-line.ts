import { HTTP_EMPTY_LINES_MAX, HTTP_HEAD_BYTES_MAX } from '../limits.js'
import { urlHost } from './host-name.js'
import { normalPath } from './http-path.js'
import type { Parsed } from './parsed.js'

/** The first line of a request of HTTP/1. */
export interface RequestLine {
  readonly version: '1.0' | '1.1'
  /** As it came. */
  readonly method: string
  /** As it came. */
  readonly target: string
  /** What routes are compared with: see `normalPath`. `*` for the whole server; empty for CONNECT. */
  readonly path: string
  /** What follows the `?`, as it came; null without one. */
  readonly query: string | null
  /** The host that stands in the target, for absolute ones and CONNECT; else null. */
  readonly authority: string | null
  /** Where the line ends: the position of its LF. */
  readonly end: number
}

/** The start of HTTP/2 where both sides know beforehand that it will be (h2c): there is no head that could be read yet. */
export interface Http2Preface {
  readonly version: '2'
}

const LF = 0x0a
const CR = 0x0d
const METHOD_MAX = 32
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
/** Bytes of it that no other method begins with. */
const PREFACE_KNOWN = 4

export const headTooLong = { not: `a request head of more than ${HTTP_HEAD_BYTES_MAX} bytes` }

/**
 * Reads the first line of a request, or the preface of HTTP/2. Strict: what servers may take for different requests is
 * none. Lines end in CR LF or LF; a few empty ones may come first.
 * Borrows the bytes.
 * @see RFC 9112, 2.2 and 3; RFC 9113, 3.4
 */
export function parseRequestLine(bytes: Buffer): Parsed<RequestLine | Http2Preface> {
  if (startsAsPreface(bytes)) return preface(bytes)
  const start = afterEmptyLines(bytes)
  if (start < 0) return { not: 'no request line' }
  const methodEnd = endOfToken(bytes, start)
  if (methodEnd - start > METHOD_MAX) return { not: 'no HTTP method' }
  if (methodEnd < bytes.length && (methodEnd === start || bytes[methodEnd] !== 0x20)) {
    // A CR before the line could still be the first half of an empty one.
    const pending = methodEnd === start && bytes[start] === CR && start + 1 === bytes.length
    return pending ? { more: bytes.length + 1 } : { not: 'no HTTP method' }
  }
  const end = bytes.indexOf(LF, start)
  if (end >= HTTP_HEAD_BYTES_MAX) return headTooLong
  if (end < 0) return bytes.length < HTTP_HEAD_BYTES_MAX ? { more: bytes.length + 1 } : headTooLong
  const text = bytes.toString('latin1', start, bytes[end - 1] === CR ? end - 1 : end)
  return readLine(text, methodEnd - start, end)
}

function startsAsPreface(bytes: Buffer): boolean {
  for (let at = 0; at < PREFACE_KNOWN; at++) if (bytes[at] !== PREFACE[at]) return false
  return true
}

function preface(bytes: Buffer): Parsed<Http2Preface> {
  const length = Math.min(bytes.length, PREFACE.length)
  if (!bytes.subarray(0, length).equals(PREFACE.subarray(0, length))) return { not: 'a broken preface of HTTP/2' }
  return length < PREFACE.length ? { more: PREFACE.length } : { found: { version: '2' } }
}

/** Where the line starts; -1 if there are too many empty ones before it. */
function afterEmptyLines(bytes: Buffer): number {
  let start = 0
  for (let lines = 0; lines <= HTTP_EMPTY_LINES_MAX; lines++) {
    if (bytes[start] === LF) start += 1
    else if (bytes[start] === CR && bytes[start + 1] === LF) start += 2
    else return start
  }
  return -1
}

/** The position of the first byte from `start` on that can be in no token (RFC 9110, 5.6.2), or one behind METHOD_MAX. */
function endOfToken(bytes: Buffer, start: number): number {
  const most = Math.min(bytes.length, start + METHOD_MAX + 1)
  let at = start
  while (at < most && isTokenCharacter(bytes[at] as number)) at += 1
  return at
}

export function isTokenCharacter(code: number): boolean {
  const letter = code | 0x20
  if ((letter >= 0x61 && letter <= 0x7a) || code === 0x2d || (code >= 0x30 && code <= 0x39)) return true
  return code > 0x20 && code < 0x7f && "!#$%&'*+.^_`|~".includes(String.fromCharCode(code))
}

function readLine(text: string, methodEnd: number, end: number): Parsed<RequestLine> {
  const targetEnd = text.lastIndexOf(' ')
  const version = text.slice(targetEnd + 1)
  if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') return { not: 'no HTTP/1 request line' }
  const method = text.slice(0, methodEnd)
  const target = text.slice(methodEnd + 1, targetEnd)
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f || code === 0x23)
      return { not: 'a request target with characters that URLs have not' }
  }
  const parts = readTarget(method, target)
  if (parts === null) return { not: 'an ambiguous request target' }
  const { path, query, authority } = parts
  return { found: { version: version === 'HTTP/1.1' ? '1.1' : '1.0', method, target, path, query, authority, end } }
}

type Parts = Pick<RequestLine, 'path' | 'query' | 'authority'>

/** The four forms of RFC 9112, 3.2. */
function readTarget(method: string, target: string): Parts | null {
  if (method === 'CONNECT') {
    const authority = target.includes(':') ? hostOf(target) : null
    return authority === null ? null : { path: '', query: null, authority }
  }
  if (target === '*') return method === 'OPTIONS' ? { path: '*', query: null, authority: null } : null
  if (target.startsWith('/')) return readPath(target, null)
  const scheme = ['http://', 'https://'].find((one) => target.slice(0, one.length).toLowerCase() === one)
  if (scheme === undefined) return null
  const rest = target.slice(scheme.length)
  const slash = firstOf(rest.indexOf('/'), rest.indexOf('?'), rest.length)
  const authority = hostOf(rest.slice(0, slash))
  if (authority === null || authority === '') return null
  return readPath(rest[slash] === '/' ? rest.slice(slash) : `/${rest.slice(slash)}`, authority)
}

function readPath(target: string, authority: string | null): Parts | null {
  const question = target.indexOf('?')
  const path = normalPath(question < 0 ? target : target.slice(0, question))
  return path === null ? null : { path, query: question < 0 ? null : target.slice(question + 1), authority }
}

function firstOf(a: number, b: number, otherwise: number): number {
  return Math.min(a < 0 ? otherwise : a, b < 0 ? otherwise : b)
}

/** The host of `host:port`, written in one way only; empty for an empty one; null if it is neither. */
export function hostOf(authority: string): string | null {
  if (authority === '') return ''
  const colon = authority.indexOf(':', authority.startsWith('[') ? authority.indexOf(']') + 1 : 0)
  const port = colon < 0 ? '' : authority.slice(colon + 1)
  if (port.length > 5 || !isDigits(port) || Number(port) > 0xffff) return null
  return urlHost(colon < 0 ? authority : authority.slice(0, colon))
}

function isDigits(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x30 || text.charCodeAt(i) > 0x39) return false
  return true
}
