import { type ClientHello, parseClientHello } from './client-hello.js'
import { type Destination, destinationOr, destinations, namesOf, refuse } from './destination.js'
import { HostNames } from './host-name.js'
import { type CommonKey, keyFunction, type OneOrMore, withKey } from './keys.js'
import type { Inspect, Refusal, Route } from './verdict.js'

export type TlsKey = 'name' | CommonKey<ClientHello>

export interface TlsServerNameOptions {
  /** Where each name leads: `example.com`, or `*.example.com` for one label more. Exact ones go first. */
  names?: Record<string, Destination>
  /** Where each protocol leads, whatever the name, such as `acme-tls/1`; asked first, in this order. */
  alpn?: Record<string, Destination>
  /** Without a name, or with an unknown one. Default: refused with the alert unrecognized_name. */
  otherwise?: Destination
  /** What is no TLS at all. Default: refused without a word. */
  junk?: Destination
  /** What connections belong together by. */
  key?: OneOrMore<TlsKey>
}

/** A record of type alert, version TLS 1.2, two bytes: fatal, unrecognized_name (RFC 6066, 3). */
const UNRECOGNIZED_NAME = Buffer.from('15030300020270', 'hex')

/**
 * Sends TLS connections where the name leads that their client asks for; the handshake itself is the worker's.
 * @throws {TypeError | RangeError} options that lead nowhere, or are none
 * @see RFC 6066, 3 (SNI)
 */
export function tlsServerName(options: TlsServerNameOptions): Inspect {
  const given = namesOf(options, 'names', 'alpn', 'otherwise', 'junk', 'key')
  const names = new HostNames<Route | Refusal>()
  for (const [pattern, to] of destinations('names', given.names)) {
    if (names.ensure('names', pattern, () => to) !== to) throw new TypeError(`names: ${pattern} is there twice`)
  }
  const protocols = destinations('alpn', given.alpn).map(([name, to]) => [utf8Bytes(name), to] as const)
  const otherwise = destinationOr('otherwise', given.otherwise, null)
  const junk = destinationOr('junk', given.junk, null)
  const key = keyFunction<ClientHello>(
    given.key,
    (one) => (one === 'name' ? ({ name }) => name ?? undefined : null),
    "'name', ",
  )
  if (names.size === 0 && protocols.length === 0 && otherwise === null) {
    throw new TypeError('options: at least one of names, alpn and otherwise')
  }

  const choose = ({ name, alpn }: ClientHello): Route | Refusal => {
    const protocol = alpn.length === 0 ? undefined : protocols.find(([own]) => alpn.includes(own))
    if (protocol !== undefined) return protocol[1]
    const named = name === null ? undefined : (names.exact(name) ?? names.wildcard(name))
    return named ?? otherwise ?? refuse(UNRECOGNIZED_NAME, name === null ? 'no server name' : `unknown name ${name}`)
  }
  return (bytes, connection) => {
    const hello = parseClientHello(bytes)
    if ('more' in hello) return hello
    if ('not' in hello) return junk ?? refuse('', hello.not)
    return withKey(choose(hello.found), key, hello.found, connection)
  }
}

/** The text as protocols of a hello are written: one character a byte. */
function utf8Bytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}
