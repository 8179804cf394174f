/**
 * What Node's TLS servers do about session tickets, the same from Node 20 to 26:
 *
 * - `server._sharedCreds.context` is the native context of a `tls.Server` (and of https and http2); `setSecureContext`
 *   replaces it, and the constructor calls that too. Contexts of names (`addContext`, SNICallback) seal no tickets:
 *   OpenSSL asks the first context of a connection.
 * - A context has one key: 16 bytes of name, 16 for HMAC-SHA256, 16 for AES-128-CBC (`setTicketKeys`, `getTicketKeys`).
 * - After `enableTicketKeyCallback` it calls its `onticketkeycallback(name, iv, sealing)`, which gives
 *   `[result, hmac, aes, name, iv]`, the last two when sealing; the result is 1, or 2 for "and send a new ticket", or 0 for
 *   "not known: a full handshake". That is where several keys at a time have their place. What the one key is
 *   does not matter any more then, so we look at it: a program that sets its own later has its way.
 * - Sessions are bound to `sessionIdContext` also, by default made of the command line, which differs between two
 *   releases of an application in two folders.
 */
import { createHash, randomBytes } from 'node:crypto'
import type net from 'node:net'
import tls from 'node:tls'
import { TICKET_KEY_BYTES } from '../limits.js'

type Opened = [result: number, hmac: Buffer, aes: Buffer]
type Sealed = [...Opened, name: Buffer, iv: Buffer]

interface Context {
  setTicketKeys(key: Buffer): void
  getTicketKeys(): Buffer
  setSessionIdContext(context: string): void
  enableTicketKeyCallback?(): void
  onticketkeycallback?: (name: Buffer, iv: Buffer, sealing: boolean) => Opened | Sealed
}

/** What the constructor and `setSecureContext` keep of their options. */
interface Inside extends tls.Server {
  _sharedCreds: { context: Context }
  ticketKeys?: unknown
  secureOptions?: number
  sessionIdContext?: string
  requestCert?: boolean
  rejectUnauthorized?: boolean
  ca?: unknown
  crl?: unknown
  pfx?: unknown
}

/** SSL_OP_NO_TICKET of OpenSSL's ssl.h. */
const NO_TICKET = 0x4000
const PART = TICKET_KEY_BYTES / 3

/** Marks servers whose program sets the key by itself, for every copy of this package. */
const OWN = Symbol.for('handover.own-ticket-keys')

/** What gives the keys of a server, newest first, as they are to be now. */
type KeysOf = () => readonly Buffer[]
const given = new WeakMap<tls.Server, KeysOf>()
let watching = false

export function isTlsServer(server: net.Server): server is tls.Server {
  return server instanceof tls.Server
}

/** From now on it is seen which servers set a key by themselves, and those that we gave keys keep them. Once only. */
export function watchTicketKeys(): void {
  if (watching) return
  watching = true
  const prototype = tls.Server.prototype
  const { setTicketKeys, setSecureContext } = prototype
  prototype.setTicketKeys = function (keys) {
    setTicketKeys.call(this, keys)
    Object.defineProperty(this, OWN, { value: true, configurable: true })
  }
  prototype.setSecureContext = function (options) {
    setSecureContext.call(this, options)
    const keysOf = given.get(this)
    if (keysOf !== undefined) giveTicketKeys(this, keysOf)
  }
}

/** Whether tickets are the program's own matter: it has keys, or wants no tickets. */
function leftAlone(server: Inside): boolean {
  const { ticketKeys, secureOptions = 0 } = server
  return ticketKeys !== undefined || OWN in server || (secureOptions & NO_TICKET) !== 0
}

/**
 * Has a server seal tickets with the first of these keys and open them with any, from the next handshake on, and after
 * each `setSecureContext` too; unless its program sees to tickets itself. Borrows the server.
 */
export function giveTicketKeys(server: tls.Server, keysOf: KeysOf): void {
  given.set(server, keysOf)
  const inside = server as Inside
  const keys = leftAlone(inside) ? [] : keysOf()
  const context = inside._sharedCreds?.context
  if (keys.length === 0 || typeof context?.setTicketKeys !== 'function') return
  context.setTicketKeys(keys[0] as Buffer)
  if (inside.sessionIdContext === defaultIdContext()) context.setSessionIdContext?.('handover')
  if (typeof context.enableTicketKeyCallback !== 'function') return // then the newest key alone must do
  context.onticketkeycallback = (name, _iv, sealing) => {
    const current = context.getTicketKeys()
    const ring = current.equals(keys[0] as Buffer) ? keys : [current]
    return sealing ? seal(ring[0] as Buffer) : open(ring, name)
  }
  context.enableTicketKeyCallback()
}

/** As Node makes it where the program says none. */
function defaultIdContext(): string {
  return createHash('sha1').update(process.argv.join(' ')).digest('hex').slice(0, 32)
}

const part = (key: Buffer, index: number): Buffer => key.subarray(index * PART, (index + 1) * PART)

function seal(key: Buffer): Sealed {
  return [1, part(key, 1), part(key, 2), part(key, 0), randomBytes(PART)]
}

function open(ring: readonly Buffer[], name: Buffer): Opened {
  const at = ring.findIndex((key) => part(key, 0).equals(name))
  const key = ring[Math.max(at, 0)] as Buffer
  return [at < 0 ? 0 : at === 0 ? 1 : 2, part(key, 1), part(key, 2)]
}

/**
 * A digest of what a server asks of its clients' certificates. Whoever resumes a session shows no certificate again (and
 * Node 20 calls it authorized where it never showed one): a ticket must not lead to a server that asks for more.
 */
export function clientTrust(server: tls.Server): string {
  const { requestCert, rejectUnauthorized, ca, crl, pfx } = server as Inside
  const hash = createHash('sha256')
  const add = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(add)
    if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value))
      return Object.values(value).forEach(add)
    const bytes = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(String(value))
    hash.update(`${bytes.length}:`).update(bytes)
  }
  add([requestCert === true, rejectUnauthorized !== false])
  if (requestCert === true) for (const [name, value] of Object.entries({ ca, crl, pfx })) add([name, value])
  return hash.digest('hex')
}
