import { shown } from '../arguments.js'
import { namesOf, refuse } from './destination.js'
import { parseProxyHeader, startsAsProxyHeader } from './proxy-header.js'
import { comesFrom } from './trusted.js'
import type { Inspect } from './verdict.js'

export interface ProxyProtocolOptions {
  /** The proxies: addresses, networks (`10.0.0.0/8`), `unix` for UNIX sockets. They must send a header. */
  trusted: readonly string[]
  /** Looks at what comes behind the header. Default: nobody, the policy decides. */
  next?: Inspect
  /** Everybody else: served as who they are ('direct', the default), or turned away. Nobody may send a header. */
  others?: 'direct' | 'refuse'
}

/**
 * Reads the PROXY header that proxies in front send, version 1 or 2, and believes it from these alone.
 * @throws {TypeError} nobody is trusted, or somebody that is no address
 * @see the PROXY protocol of HAProxy
 */
export function proxyProtocol(options: ProxyProtocolOptions): Inspect {
  const given = namesOf(options, 'trusted', 'next', 'others')
  const isTrusted = comesFrom('trusted', given.trusted)
  const { next = null, others } = given as { next?: Inspect | null; others?: unknown }
  if (next !== null && typeof next !== 'function') throw new TypeError(`next: a function, not ${shown(next)}`)
  if (others !== undefined && others !== 'direct' && others !== 'refuse') {
    throw new TypeError(`others: 'direct' or 'refuse', not ${shown(others)}`)
  }
  return (bytes, connection) => {
    if (isTrusted(connection)) {
      const header = parseProxyHeader(bytes)
      if ('more' in header) return header
      if ('not' in header) return refuse('', `${header.not}, from a trusted address`)
      return { header: header.found.length, proxied: header.found.proxied, next }
    }
    if (others === 'refuse') return refuse('', 'not from a trusted proxy')
    const pretends = startsAsProxyHeader(bytes)
    if (pretends === true) return refuse('', 'a PROXY header from an address that is not trusted')
    if (pretends === null && !connection.ended) return { more: bytes.length + 1 }
    return next === null ? {} : next(bytes, connection)
  }
}
