import type net from 'node:net'
import { SyscallError } from '../errors.js'
import type { ListenReply } from '../wire/control.js'
import {
  adoptHandle,
  LISTEN_FLAG_IPV6_ONLY,
  LISTEN_FLAG_REUSE_PORT,
  type ListenPlace,
  MODE_READABLE,
  MODE_WRITABLE,
  type ServerHandle,
  type StreamHandle,
} from './node-internals.js'

/** Who opens ports for handles, and is told when they close. Errors are negative errnos, as Node expects of a handle. */
export interface PortOwner {
  listen(handle: PortHandle, place: ListenPlace | null, backlog: number): ListenReply | number
  shut(handle: PortHandle): void
  openUp(port: number, readable: boolean, writable: boolean): number
  /** Whether handles keep the process alive has changed. */
  countReferences(): void
}

/**
 * Stands where a server's own listening handle would: Node's code does `listen`, `address()`, `close()` and the errors
 * with it as always, but the port is the master's and connections come over the channel.
 */
export class PortHandle implements ServerHandle {
  onconnection?: (status: number, handle: StreamHandle | undefined) => void
  getsockname?: (out: object) => number
  readonly server: net.Server
  readonly #owner: PortOwner
  readonly #place: ListenPlace | null
  readonly #kind: 'tcp' | 'unix'
  #port = 0
  #listening = false
  #referenced = true

  /** @param place  where to listen; null for whatever the master dispatches */
  constructor(owner: PortOwner, server: net.Server, place: ListenPlace | null) {
    this.server = server
    this.#owner = owner
    this.#place = place
    this.#kind = place !== null && place.port === null ? 'unix' : 'tcp'
  }

  /** Identifies ports that are the same to the application. */
  get key(): string {
    return JSON.stringify(this.#place)
  }

  listen(backlog: number): number {
    const reply = this.#owner.listen(this, this.#place, backlog)
    if (typeof reply === 'number') {
      process.nextTick(() => this.#endQuietly())
      return reply
    }
    this.#listening = true
    this.#port = reply.ports[0] ?? 0
    const { address } = reply
    // Only TCP has one: for a path Node looks whether there is none, and answers with the path.
    if (address !== null) {
      this.getsockname = (out) => {
        Object.assign(out, address)
        return 0
      }
    }
    return 0
  }

  /**
   * The error event of a server follows. Where nobody handles it the process would end with a stack trace; the master
   * has the same to say in one line, so the process just ends.
   */
  #endQuietly(): void {
    if (this.server.listenerCount('error') === 0 && process.listenerCount('uncaughtException') === 0) process.exit(1)
  }

  close(callback?: () => void): void {
    if (this.#listening) this.#owner.shut(this)
    this.#listening = false
    if (callback) setImmediate(callback)
  }

  ref(): void {
    this.#referenced = true
    this.#owner.countReferences()
  }

  unref(): void {
    this.#referenced = false
    this.#owner.countReferences()
  }

  hasRef(): boolean {
    return this.#referenced
  }

  fchmod(mode: number): number {
    return this.#owner.openUp(this.#port, (mode & MODE_READABLE) !== 0, (mode & MODE_WRITABLE) !== 0)
  }

  /** Takes a connection and makes the server's 'connection' event of it. */
  deliver(descriptor: number, finished: () => void): void {
    const handle = adoptHandle(this.#kind, descriptor, finished)
    if (typeof handle === 'number') warnAdoption(handle)
    else if (this.onconnection) this.onconnection(0, handle)
    else handle.close()
  }
}

export function placeFlags({ flags }: ListenPlace): { ipv6Only: boolean; reusePort: boolean } {
  return { ipv6Only: (flags & LISTEN_FLAG_IPV6_ONLY) !== 0, reusePort: (flags & LISTEN_FLAG_REUSE_PORT) !== 0 }
}

function warnAdoption(errno: number): void {
  const { message } = new SyscallError(errno, 'adopt')
  process.emitWarning(`handover: a connection could not be adopted and was closed (${message})`)
}
