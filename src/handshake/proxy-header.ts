import type { Parsed } from './parsed.js'
import { PROXY_BINARY_LEAST, PROXY_BINARY_START, parseProxyBinary } from './proxy-binary.js'
import { PROXY_LINE_LEAST, PROXY_LINE_START, type ProxyHeader, parseProxyLine } from './proxy-line.js'

/**
 * Reads the header that a connection starts with, of either version.
 * Borrows the bytes; what is found is a copy.
 * @see the PROXY protocol, version 1 and 2, of HAProxy
 */
export function parseProxyHeader(bytes: Buffer): Parsed<ProxyHeader> {
  if (bytes.length === 0) return { more: 1 }
  const [line, binary] = [common(bytes, PROXY_LINE_START), common(bytes, PROXY_BINARY_START)]
  if (line === PROXY_LINE_START.length) return parseProxyLine(bytes)
  if (binary === PROXY_BINARY_START.length) return parseProxyBinary(bytes)
  if (line < bytes.length && binary < bytes.length) return { not: 'no PROXY header' }
  return { more: line === bytes.length ? PROXY_LINE_LEAST : PROXY_BINARY_LEAST }
}

/** Whether the bytes start as a header of either version does; null: so far, and more would tell. */
export function startsAsProxyHeader(bytes: Buffer): boolean | null {
  for (const start of [PROXY_LINE_START, PROXY_BINARY_START]) {
    const length = common(bytes, start)
    if (length === start.length) return true
    if (length === bytes.length) return null
  }
  return false
}

/** How many bytes at the start are the same. */
function common(bytes: Buffer, start: Buffer): number {
  let at = 0
  while (at < bytes.length && at < start.length && bytes[at] === start[at]) at += 1
  return at
}
