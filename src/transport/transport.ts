import type net from 'node:net'
import { inspect } from 'node:util'
import { HandoverError } from '../errors.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import type { Address } from '../syscalls/sockaddr.js'
import { getpeername, getsockname } from '../syscalls/socket-name.js'
import { adoptSocket } from './adopt-socket.js'
import type { ConnectionDetails, TransportKind } from './connection-details.js'
import { assertHere } from './movable.js'
import { decodeProxied, type Proxied } from './proxied.js'

/**
 * A live connection that no `net.Socket` uses: its descriptor, and what was read of it already. Owns the descriptor, and
 * closes it once. It can be sent over a channel, and arrives as a Transport.
 */
export class Transport {
  readonly kind: TransportKind
  /** Bytes that were read and delivered to nobody; they come before any that the descriptor has. */
  readonly unread: Buffer
  /** What a socket made of it must know. */
  readonly details: ConnectionDetails
  readonly #descriptor: Descriptor

  /** Takes the descriptor. Made by {@link release}, or by what arrives. */
  constructor(descriptor: number, details: ConnectionDetails, unread: Uint8Array) {
    this.#descriptor = new Descriptor(descriptor)
    this.kind = details.type
    this.details = details
    this.unread = Buffer.from(unread.buffer, unread.byteOffset, unread.byteLength)
  }

  /** The descriptor's number, borrowed; -1 once it is adopted, closed or handed over. */
  get fd(): number {
    return this.#descriptor.fd
  }

  /** Our end; null: the kernel knows none (a pipe, a UNIX socket without a name). */
  get local(): Address | null {
    return this.#ask(getsockname)
  }

  /** The other end; null: the kernel knows none, or not any more. */
  get peer(): Address | null {
    return this.#ask(getpeername)
  }

  /** What a proxy in front said of it (PROXY protocol); null: nothing. */
  get proxied(): Proxied | null {
    return decodeProxied(this.details.proxied)
  }

  /**
   * Makes a `net.Socket` of it, which delivers `unread` first. The socket takes the descriptor; the Transport is spent.
   * @throws {HandoverError} ERR_HANDOVER_CLOSED: it is spent; ERR_HANDOVER_NOT_MOVABLE: it is on its way
   */
  adopt(): net.Socket {
    assertHere(this)
    if (this.fd < 0) throw new HandoverError('ERR_HANDOVER_CLOSED', 'the transport is spent: adopted, closed or sent')
    return adoptSocket(this.#descriptor.release(), this.details, this.unread)
  }

  /** Closes the connection, if it is still here: the peer sees its end. Closing twice does nothing. */
  close(): void {
    this.#descriptor.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  [inspect.custom](): string {
    return `Transport { kind: '${this.kind}', fd: ${this.fd}, unread: ${this.unread.length} bytes }`
  }

  #ask(call: typeof getsockname): Address | null {
    try {
      return this.fd < 0 ? null : call(this.fd)
    } catch {
      return null
    }
  }
}
