import type { Dispatcher } from '../dispatch/dispatcher.js'
import type { Target } from '../dispatch/target.js'
import { errnoOf, SyscallError } from '../errors.js'
import { placeOf, type SettledHandshake } from '../handshake/options.js'
import type { SocketAddress } from '../transport/address.js'
import { ListeningPort, type ListenOptions } from '../transport/listening-port.js'
import type { ListenReply, ListenRequest } from '../wire/control.js'

import type { PortKeeper } from './port-keeper.js'

/** A worker's place in a generation, by identity. */
export type PortUser = object

export interface PortEntry {
  id: number
  key: string
  /** As it was asked for. */
  host: string
  port: ListeningPort
  /** The supervisor opened it by itself: it stays open as long as that does. */
  own: boolean
  /** The name it is kept under by the keeper; null: it is not. */
  kept?: string | null
  /** Worker places that listen here. One whose worker died counts on: its successor will listen again. */
  users: Set<PortUser>
}

/**
 * The listening ports that workers asked for. The first to ask opens one; the others share it. It is closed when
 * every worker's application has closed it, not when workers die.
 */
export class PortRegistry {
  readonly #dispatcher: Dispatcher
  readonly #backlog: number | undefined
  readonly #statusDelay: number
  readonly #handshakes: readonly SettledHandshake[]
  readonly #entries = new Map<string, PortEntry>()
  #ids = 0
  #retired = false
  /** Null: ports end with this process. */
  keeper: PortKeeper | null = null

  /** @param statusDelay  milliseconds that word of closed connections may take */
  constructor(
    dispatcher: Dispatcher,
    backlog: number | undefined,
    statusDelay: number,
    handshakes: readonly SettledHandshake[],
  ) {
    this.#dispatcher = dispatcher
    this.#handshakes = handshakes
    this.#statusDelay = statusDelay
    this.#backlog = backlog
  }

  get addresses(): (SocketAddress | string)[] {
    return [...this.#entries.values()].map(({ port }) => port.address)
  }

  /**
   * Opens or shares a port for a worker place. The caller attaches its target once the reply is on its way.
   * @returns the answer to the worker, and whether the port is new
   * @throws {SyscallError} the port could not be opened
   */
  listen(request: ListenRequest, place: PortUser): { reply: ListenReply; opened: boolean } {
    const { host, port, ipv6Only, reusePort, nth } = request
    const key = port === null ? `unix:${host}:${nth}` : `tcp:${host}:${port}:${ipv6Only}:${reusePort}:${nth}`
    this.#refuseWhenRetired()
    let entry = this.#entries.get(key) ?? (nth === 0 ? this.#bound(host, port) : undefined)
    const opened = entry === undefined
    if (entry === undefined) {
      entry = this.#add({ key, host, ...this.#found(optionsOf(request, this.#backlog)), own: false })
    } else {
      this.#renew(entry)
    }
    entry.users.add(place)
    const { address } = entry.port
    return { reply: this.#reply(request.id, [entry.id], typeof address === 'string' ? null : address), opened }
  }

  /**
   * Every port that is open, for `serve` without an address.
   * @throws {SyscallError} EDESTADDRREQ: there is none
   */
  serveAll(id: number, place: PortUser): ListenReply {
    this.#refuseWhenRetired()
    const entries = [...this.#entries.values()]
    if (entries.length === 0) throw new SyscallError(errnoOf('EDESTADDRREQ'), 'listen')
    for (const entry of entries) entry.users.add(place)
    const address = entries.map(({ port }) => port.address).find((one) => typeof one !== 'string') ?? null
    return this.#reply(
      id,
      entries.map((entry) => entry.id),
      address,
    )
  }

  #refuseWhenRetired(): void {
    if (this.#retired) throw new SyscallError(errnoOf('ECANCELED'), 'listen')
  }

  #reply(reply: number, ports: number[], address: SocketAddress | null): ListenReply {
    return { type: 'listening', reply, ports, address, statusDelay: this.#statusDelay }
  }

  /**
   * Opens ports that no worker asked for, all or none. `opened` is told where each is.
   * @throws {SyscallError | RangeError | TypeError} as `ListeningPort.open`
   */
  openOwn(list: readonly ListenOptions[], opened: (address: SocketAddress | string) => void): void {
    try {
      for (const options of list) opened(this.#openOne(options).port.address)
    } catch (error) {
      this.clear()
      throw error
    }
  }

  #openOne(options: ListenOptions): PortEntry {
    const found = this.#found({ ...options, ...(this.#backlog === undefined ? {} : { backlog: this.#backlog }) })
    const host = 'path' in options ? options.path : (options.host ?? '')
    return this.#add({ key: `own:${this.#ids}`, host, ...found, own: true })
  }

  #add(entry: Omit<PortEntry, 'id' | 'users'>): PortEntry {
    const added = { ...entry, id: ++this.#ids, users: new Set<PortUser>() }
    this.#enter(added)
    return added
  }

  #enter(added: PortEntry): void {
    try {
      this.#dispatcher.open(added.id, added.port, this.#handshakeOf(added.port))
    } catch (error) {
      added.port.close()
      throw error
    }
    this.#entries.set(added.key, added)
  }

  #handshakeOf({ address }: ListeningPort): SettledHandshake | null {
    const place = placeOf(address)
    return this.#handshakes.find(({ ports }) => ports === undefined || ports.includes(place)) ?? null
  }

  /** All that are open. Borrowed. */
  get entries(): readonly PortEntry[] {
    return [...this.#entries.values()]
  }

  /** Goes on with a port that somebody else had under this number. Takes the port. */
  resume(entry: PortEntry): void {
    this.#ids = Math.max(this.#ids, entry.id)
    this.#enter(entry)
  }

  /**
   * Opens ports of the supervisor's own that are not open yet; those that are not among them are workers' alone.
   * @throws {SyscallError | RangeError | TypeError} as `ListeningPort.open`
   */
  keepListening(list: readonly ListenOptions[]): void {
    const own = new Set(list.map((options) => this.#opened(options) ?? this.#openOne(options)))
    for (const entry of this.entries) entry.own = own.has(entry)
  }

  /** One of the supervisor's own that was opened like this. */
  #opened(options: ListenOptions): PortEntry | undefined {
    const place = 'path' in options ? options.path : options.port
    const host = 'path' in options ? options.path : (options.host ?? '')
    return this.entries.find(({ own, host: asked, port: { address, options: before } }) => {
      if (!own || asked !== host) return false
      if (typeof address === 'string') return 'path' in options
      return address.port === place || (before !== null && 'port' in before && before.port === place)
    })
  }

  attach(target: Target, ids: readonly number[]): void {
    for (const id of ids) this.#dispatcher.attach(target, id)
  }

  /** The ports that any of these places listens on. */
  portsOf(places: readonly PortUser[]): number[] {
    const used = [...this.#entries.values()].filter(({ users }) => places.some((place) => users.has(place)))
    return used.map(({ id }) => id)
  }

  /** Where a port listens; null: there is none of this number. */
  addressOf(id: number): SocketAddress | string | null {
    return this.#byId(id)?.port.address ?? null
  }

  /** Accepts what waits in the kernel's queue of a port, as far as there is room. */
  acceptWaiting(id: number): void {
    this.#dispatcher.acceptWaiting(id)
  }

  /** A target gets no more connections; those it has still count for the limit in all. */
  detach(target: Target): void {
    for (const { id } of this.#entries.values()) this.#dispatcher.detach(target, id)
  }

  /** The ports that have this number, or this path. */
  at(place: number | string): number[] {
    const found = [...this.#entries.values()].filter(({ port: { address } }) =>
      typeof address === 'string' ? address === place : address.port === place,
    )
    return found.map(({ id }) => id)
  }

  /** @throws {Error} the mode could not be changed */
  chmod(id: number, mode: number, keep: boolean): void {
    this.#byId(id)?.port.chmod(mode, keep)
  }

  /** The application of a worker place closed a port. */
  close(id: number, place: PortUser, target: Target): void {
    this.#dispatcher.detach(target, id)
    const entry = this.#byId(id)
    if (entry !== undefined) this.#leave(entry, place)
  }

  /** A place is no more; ports that it alone used close. */
  forget(place: PortUser): void {
    for (const entry of [...this.#entries.values()]) if (entry.users.has(place)) this.#leave(entry, place)
  }

  #leave(entry: PortEntry, place: PortUser): void {
    entry.users.delete(place)
    if (entry.users.size === 0 && !entry.own) this.#close(entry)
  }

  #close(entry: PortEntry): void {
    this.#entries.delete(entry.key)
    this.#dispatcher.shut(entry.id)
    if (entry.kept) this.keeper?.closed(entry.kept)
    entry.port.close()
  }

  /** Accepts what waits in the kernel's queues, then listens no more; what was accepted is still handed over. */
  retire(): void {
    this.#retired = true
    for (const entry of this.#entries.values()) {
      this.#dispatcher.retire(entry.id)
      entry.port.close()
    }
  }

  /** Forgets everything; connections still waiting for a target are closed. */
  clear(): void {
    for (const entry of this.#entries.values()) {
      this.#dispatcher.shut(entry.id)
      entry.port.close()
    }
    this.#entries.clear()
  }

  /** A port that was opened as "any" and is now asked for by the number it got. */
  #bound(host: string, port: number | null): PortEntry | undefined {
    return [...this.#entries.values()].find(
      ({ port: { address }, host: asked }) => asked === host && typeof address !== 'string' && address.port === port,
    )
  }

  #byId(id: number): PortEntry | undefined {
    return [...this.#entries.values()].find((entry) => entry.id === id)
  }

  /** A port that was kept, or a new one. */
  #found(options: ListenOptions): { port: ListeningPort; kept: string | null } {
    const found = this.keeper?.find(options) ?? null
    if (found !== null) return { port: found.port, kept: found.name }
    const port = ListeningPort.open(options)
    return { port, kept: this.keeper?.opened(port) ?? null }
  }

  #renew(entry: PortEntry): void {
    const { fd } = entry.port
    entry.port.renew()
    if (entry.port.fd === fd) return
    if (entry.kept) this.keeper?.closed(entry.kept)
    entry.kept = this.keeper?.opened(entry.port) ?? null
  }
}

function optionsOf({ host, port, backlog, ipv6Only, reusePort, umask }: ListenRequest, most?: number): ListenOptions {
  const queue = most ?? Math.max(1, backlog)
  if (port === null) return { path: host, backlog: queue, mode: 0o777 & ~umask }
  return { port, backlog: queue, ipv6Only, reusePort, ...(host === '' ? {} : { host }) }
}

/** The name of a system error, for a worker: numbers differ between platforms. */
export function codeOf(error: unknown): string {
  return (error as SyscallError).code ?? 'EINVAL'
}
