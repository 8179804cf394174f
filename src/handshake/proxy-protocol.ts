import { shown } from '../arguments.js'
import { namesOf, refuse } from './destination.js'
import { parseProxyHeader, startsAsProxyHeader } from './proxy-header.js'
import { comesFrom } from './trusted.js'
import type { Inspect } from './verdict.js'

export interface ProxyProtocolOptions {
  /** The proxies: addresses, networks (`10.0.0.0/8`), `unix` for UNIX sockets. They must send a header. */
  trusted: readonly string[]
  /** Looks at what comes behind the header. Default: nobody, the policy decides. */
  then?: Inspect
  /** Everybody else: served as who they are ('direct', the default), or turned away. Nobody may send a header. */
  others?: 'direct' | 'refuse'
}

/**
 * Reads the PROXY header that proxies in front send, version 1 or 2, and believes it from these alone.
 * @throws {TypeError} nobody is trusted, or somebody that is no address
 * @see the PROXY protocol of HAProxy
 */
export function proxyProtocol(options: ProxyProtocolOptions): Inspect {
  const given = namesOf(options, 'trusted', 'then', 'others')
  const isTrusted = comesFrom('trusted', given.trusted)
  const { then, others } = given
  if (then !== undefined && typeof then !== 'function') throw new TypeError(`then: a function, not ${shown(then)}`)
  if (others !== undefined && others !== 'direct' && others !== 'refuse') {
    throw new TypeError(`others: 'direct' or 'refuse', not ${shown(others)}`)
  }
  const next = (then as Inspect | undefined) ?? null
  return (bytes, connection) => {
    if (isTrusted(connection)) {
      const header = parseProxyHeader(bytes)
      if ('more' in header) return header
      if ('not' in header) return refuse('', `${header.not}, from a trusted address`)
      // biome-ignore lint/suspicious/noThenProperty: what comes then; nobody awaits a verdict
      return { header: header.found.length, proxied: header.found.proxied, then: next }
    }
    if (others === 'refuse') return refuse('', 'not from a trusted proxy')
    const pretends = startsAsProxyHeader(bytes)
    if (pretends === true) return refuse('', 'a PROXY header from an address that is not trusted')
    if (pretends === null && !connection.ended) return { more: bytes.length + 1 }
    return next === null ? {} : next(bytes, connection)
  }
}
