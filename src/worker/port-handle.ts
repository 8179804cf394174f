import { AsyncResource } from 'node:async_hooks'
import type net from 'node:net'
import { resolve } from 'node:path'
import { errnoOf, SyscallError } from '../errors.js'
import {
  abstractName,
  adoptHandle,
  fileMode,
  LISTEN_FLAG_IPV6_ONLY,
  LISTEN_FLAG_REUSE_PORT,
  type ListenPlace,
  type ServerBehaviour,
  type ServerHandle,
  serverHandle,
} from '../runtime/node-internals.js'
import { isFull } from '../runtime/node-servers.js'
import { serveConnection } from '../transport/http-connections.js'
import { decodeProxied } from '../transport/proxied.js'
import { showProxied } from '../transport/shown-ends.js'
import type { ArrivalDetails, ListenReply } from '../wire/control.js'
import { watchSessions } from './idle-connections.js'

/** A request for a port, without what only the owner knows. */
export interface PortRequest {
  host: string
  port: number | null
  backlog: number
  ipv6Only: boolean
  reusePort: boolean
  umask: number
}

/** Who opens ports for handles, and is told when they close. Errors are negative errnos, as Node expects of a handle. */
export interface PortOwner {
  /** @param request  null: whatever ports the owner dispatches */
  listen(handle: PortHandle, request: PortRequest | null): ListenReply | number
  shut(handle: PortHandle): void
  chmod(port: number, mode: { mode: number; keep: boolean }): number
  /** Whether handles keep the process alive has changed. */
  countReferences(): void
}

/**
 * Stands where a server's own listening handle would: Node's code does `listen`, `address()`, `close()` and the errors
 * with it as always, but the port is the master's and connections come over the channel.
 */
export class PortHandle implements ServerBehaviour {
  readonly server: net.Server
  /** What Node takes for the listening handle. */
  readonly handle: ServerHandle
  readonly #owner: PortOwner
  readonly #place: ListenPlace | null
  readonly #kind: 'tcp' | 'unix'
  /** Connections come in the async context in which the server was made to listen, as Node's own would. */
  readonly #context = new AsyncResource('HANDOVERPORT')
  #port = 0
  #address: object = {}
  #listening = false
  #referenced = true

  /** @param place  where to listen; null for whatever the master dispatches */
  constructor(owner: PortOwner, server: net.Server, place: ListenPlace | null) {
    this.#owner = owner
    this.server = server
    this.#place = place
    this.#kind = place !== null && place.port === null ? 'unix' : 'tcp'
    this.handle = serverHandle(this.#kind, this)
    watchSessions(server)
  }

  /** Whether it has the place of a request already: by what was asked for, or by the number that "any" turned out to be. */
  has({ host, port }: PortRequest): boolean {
    if (!this.#listening || this.#place === null || host !== this.#request(0)?.host) return false
    return port === this.#place.port || port === (this.#address as { port?: number }).port
  }

  /** Whether it keeps the process alive. */
  get isReferenced(): boolean {
    return this.#referenced
  }

  listen(backlog: number): number {
    if (this.#listening) return 0 // another server listens on this one's handle
    const reply = this.#owner.listen(this, this.#request(backlog))
    if (typeof reply === 'number') {
      process.nextTick(() => this.#endQuietly())
      // libuv says the first for the second, for the sake of Windows: programs look for it.
      return this.#kind === 'unix' && reply === errnoOf('ENOENT') ? errnoOf('EACCES') : reply
    }
    this.#listening = true
    this.#port = reply.ports[0] ?? 0
    this.#address = reply.address ?? {}
    return 0
  }

  closed(): void {
    if (this.#listening) this.#owner.shut(this)
    this.#listening = false
  }

  referenced(referenced: boolean): void {
    this.#referenced = referenced
    this.#owner.countReferences()
  }

  fchmod(mode: number): number {
    return this.#owner.chmod(this.#port, fileMode(mode))
  }

  address(): object {
    return this.#address
  }

  /**
   * Takes connections and makes the server's 'connection' events of them. `finished` is called for each, once.
   * @param details  what the master says of each; null: nothing of any
   */
  deliver(descriptors: Int32Array, details: readonly unknown[] | null, finished: () => void): void {
    this.#context.runInAsyncScope(() => {
      for (const [index, descriptor] of descriptors.entries()) this.#deliverOne(descriptor, details?.[index], finished)
    })
  }

  /** Whether its server would turn the next connection away. */
  get isFull(): boolean {
    return isFull(this.server)
  }

  /** Takes a connection that another worker had, and makes the server's 'connection' event of it. */
  join(socket: net.Socket): void {
    this.#context.runInAsyncScope(() => serveConnection(this.server, socket))
  }

  #deliverOne(descriptor: number, details: unknown, finished: () => void): void {
    const connection = adoptHandle(this.#kind, descriptor, finished)
    if (typeof connection === 'number') return warnAdoption(connection)
    const ends = decodeProxied((details as ArrivalDetails | null | undefined)?.proxied)
    if (ends !== null) showProxied(connection, ends)
    if (!this.handle.onconnection) return connection.close()
    try {
      this.handle.onconnection(0, connection)
    } catch (error) {
      // The application's 'connection' listener threw: as uncaught as ever, and the other connections go on.
      process.nextTick(() => {
        throw error
      })
    }
  }

  #request(backlog: number): PortRequest | null {
    if (this.#place === null) return null
    const { address, port, flags } = this.#place
    return {
      host: port === null ? ownPath(address ?? '') : (address ?? ''),
      port,
      backlog,
      ipv6Only: (flags & LISTEN_FLAG_IPV6_ONLY) !== 0,
      reusePort: (flags & LISTEN_FLAG_REUSE_PORT) !== 0,
      umask: port === null ? process.umask() : 0,
    }
  }

  /**
   * The error event of a server follows. Where nobody looks at it the process would end with a stack trace; the master
   * has the same to say in one line, so the process just ends.
   */
  #endQuietly(): void {
    const watched =
      this.server.listenerCount('error') > 0 ||
      process.listenerCount('uncaughtException') > 0 ||
      process.listenerCount('uncaughtExceptionMonitor') > 0 ||
      process.hasUncaughtExceptionCaptureCallback()
    if (!watched) process.exit(1)
  }
}

/** A relative path is the worker's, which may have changed its folder; an abstract name lies in none. */
function ownPath(path: string): string {
  return path.startsWith('\0') ? abstractName(path) : resolve(path)
}

function warnAdoption(errno: number): void {
  const { message } = new SyscallError(errno, 'adopt')
  process.emitWarning(`handover: a connection could not be adopted and was closed (${message})`)
}
