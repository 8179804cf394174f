import { clientHelloMessage } from './handshake-message.js'
import { dnsName } from './host-name.js'
import type { Parsed } from './parsed.js'
import { Reader } from './reader.js'

export type TlsVersion = 'SSLv2' | 'SSLv3' | 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'

/** What a client said of itself before anything was encrypted. */
export interface ClientHello {
  /** The name it asks for, in lower case and without a dot at its end; null: none, or none that DNS could have. */
  readonly name: string | null
  /** The protocols it offers, dearest first; one character a byte. */
  readonly alpn: readonly string[]
  /** The highest version it speaks. */
  readonly version: TlsVersion
  /** It has an encrypted hello, or pretends to: then `name` is the outer one, and may be one for many. */
  readonly ech: boolean
  /** It is written as version 2 of SSL had it, in which there was no name. */
  readonly sslv2: boolean
}

const VERSIONS: readonly TlsVersion[] = ['SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']
const SERVER_NAME = 0
const ALPN = 16
const SUPPORTED_VERSIONS = 43
const ENCRYPTED_CLIENT_HELLO = 0xfe0d
const RANDOM_BYTES = 32

const malformed = { not: 'a malformed ClientHello' }

/**
 * Reads the ClientHello that a TLS connection starts with.
 * Borrows the bytes; what is found is a copy.
 * @see RFC 8446, 4.1.2; RFC 6066, 3; RFC 7301; RFC 8701 (GREASE, passed over); RFC 9849 (ECH)
 */
export function parseClientHello(bytes: Buffer): Parsed<ClientHello> {
  if ((bytes[0] ?? 0) >= 0x80) return sslv2Hello(bytes)
  const message = clientHelloMessage(bytes)
  return 'found' in message ? readHello(new Reader(message.found)) : message
}

/** A hello for servers of all versions, as clients of the last century send it: RFC 5246, E.2. */
function sslv2Hello(bytes: Buffer): Parsed<ClientHello> {
  if (bytes.length >= 3 && bytes[2] !== 1) return { not: 'no TLS handshake' }
  if (bytes.length < 5) return { more: 5 }
  const [length, version] = [bytes.readUInt16BE(0) & 0x7fff, bytes.readUInt16BE(3)]
  const name = version === 2 ? 'SSLv2' : version >= 0x300 && version <= 0x303 ? VERSIONS[version - 0x300] : undefined
  if (length < 9 || name === undefined) return { not: 'no TLS handshake' }
  return { found: { name: null, alpn: [], version: name, ech: false, sslv2: true } }
}

function readHello(hello: Reader): Parsed<ClientHello> {
  const legacy = hello.number(2)
  hello.skip(RANDOM_BYTES)
  const [session, ciphers, compression] = [hello.vector(1).left, hello.vector(2).left, hello.vector(1).left]
  if (hello.overrun || legacy >> 8 !== 3) return malformed
  if (session > 32 || ciphers === 0 || ciphers % 2 === 1 || compression === 0) return malformed
  const extensions = hello.left === 0 ? new Map<number, Reader>() : readExtensions(hello)
  if (extensions === null) return malformed
  const name = readName(extensions.get(SERVER_NAME))
  const alpn = readProtocols(extensions.get(ALPN))
  const version = readVersion(extensions.get(SUPPORTED_VERSIONS), legacy)
  if (name === undefined || alpn === undefined || version === undefined) return malformed
  return { found: { name, alpn, version, ech: extensions.has(ENCRYPTED_CLIENT_HELLO), sslv2: false } }
}

/** By number; null if they are malformed, or one is there twice. */
function readExtensions(hello: Reader): Map<number, Reader> | null {
  const list = hello.vector(2)
  const extensions = new Map<number, Reader>()
  while (list.left > 0) {
    const type = list.number(2)
    if (extensions.has(type)) return null
    extensions.set(type, list.vector(2))
  }
  return list.overrun || hello.overrun || hello.left > 0 ? null : extensions
}

/** The first of the list, as there can be but one of each type; undefined if it is malformed. */
function readName(extension: Reader | undefined): string | null | undefined {
  if (extension === undefined) return null
  const list = extension.vector(2)
  const type = list.number(1)
  const name = list.vector(2)
  if (extension.overrun || extension.left > 0 || list.overrun) return undefined
  return type === 0 ? dnsName(name.text()) : null
}

function readProtocols(extension: Reader | undefined): string[] | undefined {
  if (extension === undefined) return []
  const list = extension.vector(2)
  const protocols: string[] = []
  while (list.left > 0) {
    const protocol = list.vector(1)
    if (protocol.left === 0) return undefined
    const text = protocol.text()
    if (protocol.left !== 2 || !isGrease(protocol.number(2))) protocols.push(text)
  }
  return extension.overrun || extension.left > 0 || list.overrun ? undefined : protocols
}

/** The highest that has a name; without the extension, TLS 1.2 at most. */
function readVersion(extension: Reader | undefined, legacy: number): TlsVersion | undefined {
  if (extension === undefined) return VERSIONS[Math.min(legacy, 0x303) - 0x300]
  const list = extension.vector(1)
  let highest = -1
  while (list.left > 0) {
    const version = list.number(2)
    if (version >= 0x300 && version < 0x300 + VERSIONS.length) highest = Math.max(highest, version - 0x300)
  }
  if (extension.overrun || extension.left > 0 || list.overrun) return undefined
  return VERSIONS[highest] ?? VERSIONS[Math.min(legacy, 0x303) - 0x300]
}

/** Values without a meaning, sent so that servers stay used to unknown ones. */
function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff)
}
