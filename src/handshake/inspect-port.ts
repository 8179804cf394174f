import { EventEmitter } from 'node:events'
import { SyscallError } from '../errors.js'
import { guarded } from '../guarded.js'
import { ACCEPT_BATCH_MAX, ACCEPT_RETRY } from '../limits.js'
import type { ArrivalNote } from '../transport/arrival-note.js'
import type { ListeningPort } from '../transport/listening-port.js'
import { encodeProxied } from '../transport/proxied.js'
import { Transport } from '../transport/transport.js'
import { Handshake, type Setback } from './handshake.js'
import { type HandshakeOptions, settleHandshake } from './options.js'
import type { Route } from './verdict.js'

/** A connection whose first bytes were seen, and what was made of them. */
export interface InspectedConnection {
  /** The connection, of which nothing was read but the headers of proxies. Whoever is told of it owns it. */
  readonly transport: Transport
  /** Where it is to go. */
  readonly route: Route
}

export interface PortInspectionEvents {
  /** Gives the connection. */
  connection: [connection: InspectedConnection]
  /** A client was turned away, or not decided; `otherwise` says what became of it. */
  setback: [event: { setback: Setback; reason: string; peer: string | null }]
  /** No descriptor was free to accept with (EMFILE, ENFILE), and nobody undecided to give up; it is tried again by itself. */
  exhausted: [error: SyscallError]
}

/** A port of which somebody looks at every connection before it is told of. For masters of your own. */
export class PortInspection extends EventEmitter<PortInspectionEvents> {
  readonly #port: ListeningPort
  readonly #handshake: Handshake
  #paused = false
  #closed = false
  #retry: NodeJS.Timeout | null = null

  /** @see inspectPort */
  constructor(port: ListeningPort, options: HandshakeOptions) {
    super()
    this.#port = port
    this.#handshake = new Handshake(settleHandshake(options), {
      decided: (descriptor, note) => this.#tell(descriptor, note),
      settled: () => {},
      setback: (setback, reason, { peer }) => {
        guarded(() => this.emit('setback', { setback, reason, peer: peer?.address ?? null }))
      },
    })
    try {
      port.watch(() => this.#accept())
    } catch (error) {
      this.#handshake.close()
      throw error
    }
  }

  /** Connections whose clients have not said enough yet. */
  get undecided(): number {
    return this.#handshake.count
  }

  /** Accepts no more: clients wait in the kernel's queue. Who is undecided may still be told of. */
  pause(): void {
    this.#paused = true
    if (!this.#closed) this.#port.pause()
  }

  resume(): void {
    if (!this.#paused || this.#closed) return
    this.#paused = false
    this.#port.watch(() => this.#accept())
  }

  /** Ends it: who is undecided is closed. The port stays open, and is not watched any more. Closing twice does nothing. */
  close(): void {
    if (this.#closed) return
    this.pause()
    this.#closed = true
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#handshake.close()
  }

  #accept(): void {
    const count = this.#port.accept(ACCEPT_BATCH_MAX)
    if (count >= 0) return this.#handshake.admit(this.#port.batch, count)
    if (this.#handshake.shed('no descriptor was free')) return // the port is reported again
    this.#port.pause() // or the port would be reported again and again
    this.#retry = setTimeout(() => {
      if (!this.#paused && !this.#closed && this.#port.fd >= 0) this.#port.watch(() => this.#accept())
    }, ACCEPT_RETRY)
    guarded(() => this.emit('exhausted', new SyscallError(count, 'accept4')))
  }

  #tell(descriptor: number, { route, proxied }: ArrivalNote): void {
    const type = typeof this.#port.address === 'string' ? 'unix' : 'tcp'
    const details = { type, ...(proxied === null ? {} : { proxied: encodeProxied(proxied) }) } as const
    const transport = new Transport(descriptor, details, Buffer.alloc(0))
    if (this.listenerCount('connection') === 0) return transport.close() // nobody owns it
    guarded(() => this.emit('connection', { transport, route }))
  }
}

/**
 * Looks at the first bytes of every connection of a port, without taking them, and tells where each is to go. Borrows the
 * port, whose connections come here from now on.
 * @throws {TypeError | RangeError} a wrong option; {SyscallError} EMFILE, ENFILE; EBADF: the port is closed
 */
export function inspectPort(port: ListeningPort, options: HandshakeOptions): PortInspection {
  return new PortInspection(port, options)
}
