import type { Dispatcher } from '../../dispatch/dispatcher.js'
import { errnoOf, SyscallError } from '../../errors.js'
import { placeOf, type SettledHandshake } from '../../handshake/options.js'
import { SELF_STATUS_DELAY } from '../../limits.js'
import type { SocketAddress } from '../../transport/address.js'
import type { ListeningPort, ListenOptions } from '../../transport/listening-port.js'
import type { ListenReply, ListenRequest } from '../../wire/control.js'
import { DistributedPort, type PortTaker } from './distributed-port.js'
import { modeOf } from './distribution-options.js'
import {
  type Distribution,
  optionsOf,
  type PortEntry,
  type PortUser,
  type ResumedPort,
  wasOpenedAs,
} from './port-entry.js'
import { KeptPorts, type PortKeeper } from './port-keeper.js'

/**
 * The listening ports that workers asked for. The first to ask opens one; the others share it. It is closed when
 * every worker's application has closed it, not when workers die.
 */
export class PortRegistry {
  /** Connections that workers ever accepted by themselves. */
  accepted = 0
  readonly #dispatcher: Dispatcher
  readonly #backlog: number | undefined
  readonly #statusDelay: number
  readonly #handshakes: readonly SettledHandshake[]
  readonly #distribution: Distribution
  readonly #entries = new Map<string, PortEntry>()
  readonly #kept = new KeptPorts()
  #ids = 0
  #retired = false

  /** @param statusDelay  milliseconds that word of closed connections may take */
  constructor(
    dispatcher: Dispatcher,
    backlog: number | undefined,
    statusDelay: number,
    handshakes: readonly SettledHandshake[],
    distribution: Distribution = { rules: [], allGrouped: false, most: null },
  ) {
    this.#distribution = distribution
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
      entry = this.#add(key, host, optionsOf(request, this.#backlog), false)
    } else {
      const { id, port } = entry
      port.renew(() => this.#dispatcher.acceptWaiting(id))
    }
    entry.port.admit(String(place.number))
    entry.users.add(place)
    const { address } = entry.port
    return { reply: this.#reply(request.id, [entry], typeof address === 'string' ? null : address), opened }
  }

  /**
   * Every port that is open, for `serve` without an address.
   * @throws {SyscallError} EDESTADDRREQ: there is none
   */
  serveAll(id: number, place: PortUser): ListenReply {
    this.#refuseWhenRetired()
    const entries = [...this.#entries.values()]
    if (entries.length === 0) throw new SyscallError(errnoOf('EDESTADDRREQ'), 'listen')
    for (const { port } of entries) port.admit(String(place.number))
    for (const entry of entries) entry.users.add(place)
    const address = entries.map(({ port }) => port.address).find((one) => typeof one !== 'string') ?? null
    return this.#reply(id, entries, address)
  }

  #refuseWhenRetired(): void {
    if (this.#retired) throw new SyscallError(errnoOf('ECANCELED'), 'listen')
  }

  #reply(reply: number, entries: PortEntry[], address: SocketAddress | null): ListenReply {
    const alone = entries.every(({ port }) => port.mode !== 'dispatch')
    const statusDelay = alone ? Math.max(this.#statusDelay, SELF_STATUS_DELAY) : this.#statusDelay
    const { most } = this.#distribution
    return { type: 'listening', reply, ports: entries.map(({ id }) => id), address, statusDelay, most }
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

  /** Who keeps ports beyond the end of this process. */
  set keeper(keeper: PortKeeper | null) {
    this.#kept.keeper = keeper
  }

  #openOne(options: ListenOptions): PortEntry {
    const host = 'path' in options ? options.path : (options.host ?? '')
    const backlog = this.#backlog === undefined ? {} : { backlog: this.#backlog }
    return this.#add(`own:${this.#ids}`, host, { ...options, ...backlog }, true)
  }

  /** @throws as `ListeningPort.open` */
  #add(key: string, host: string, options: ListenOptions, own: boolean): PortEntry {
    const id = ++this.#ids
    const mode = modeOf(this.#distribution.rules, 'path' in options ? options.path : options.port)
    const port = new DistributedPort(id, mode, options, this.#kept)
    return this.#enter({ id, key, host, port, own, users: new Set<PortUser>() })
  }

  #enter(entry: PortEntry): PortEntry {
    const { id, port } = entry
    try {
      this.#dispatcher.open(id, port, this.#handshakeOf(port))
    } catch (error) {
      port.close()
      throw error
    }
    this.#entries.set(entry.key, entry)
    return entry
  }

  /** All that are open. Borrowed. */
  get entries(): readonly PortEntry[] {
    return [...this.#entries.values()]
  }

  /** The name that a socket is kept under; null: it is not. */
  keptAs(port: ListeningPort): string | null {
    return this.#kept.nameOf(port)
  }

  /** Goes on with a port that somebody else had. Takes its sockets, which may be kept under names. */
  resume(entry: ResumedPort): PortEntry {
    const { mode, options, sockets, ...known } = entry
    this.#ids = Math.max(this.#ids, entry.id)
    for (const { port, kept } of sockets) this.#kept.resume(port, kept)
    return this.#enter({ ...known, port: new DistributedPort(entry.id, mode, options, this.#kept, sockets) })
  }

  /**
   * Opens ports of the supervisor's own that are not open yet; those that are not among them are workers' alone.
   * @throws {SyscallError | RangeError | TypeError} as `ListeningPort.open`
   */
  keepListening(list: readonly ListenOptions[]): void {
    const open = (options: ListenOptions): PortEntry =>
      this.entries.find((entry) => entry.own && wasOpenedAs(entry, options)) ?? this.#openOne(options)
    const own = new Set(list.map(open))
    for (const entry of this.entries) entry.own = own.has(entry)
  }

  #handshakeOf({ address, mode }: DistributedPort): SettledHandshake | null {
    if (mode !== 'dispatch') return null
    const place = placeOf(address)
    return this.#handshakes.find(({ ports }) => ports === undefined || ports.includes(place)) ?? null
  }

  /** A target has connections of these ports from now on: it is handed them, or accepts by itself. */
  attach(target: PortTaker, ids: readonly number[]): void {
    const accepts = target.group === null || this.#distribution.allGrouped
    for (const id of ids) {
      this.#dispatcher.attach(target, id)
      this.#byId(id)?.port.attach(target, accepts)
    }
  }

  /** A target could not take a port: it is handed the connections. */
  feed(id: number, target: PortTaker & { withoutPort(id: number): void }): void {
    target.withoutPort(id)
    this.#byId(id)?.port.notTaken(target)
  }

  /** The ports that any of these places listens on. */
  portsOf(places: readonly object[]): number[] {
    const used = [...this.#entries.values()].filter(({ users }) => places.some((place) => users.has(place as PortUser)))
    return used.map(({ id }) => id)
  }

  /** Where a port listens; null: there is none of this number. */
  addressOf(id: number): SocketAddress | string | null {
    return this.#byId(id)?.port.address ?? null
  }

  /** Accepts what waits in the kernel's queue of a port, as far as there is room. Who accepts by itself does so for the last time. */
  acceptWaiting(id: number): void {
    this.#byId(id)?.port.acceptLast(() => this.#dispatcher.acceptWaiting(id))
  }

  /** A target gets no more connections; those it has still count for the limit in all. */
  detach(target: PortTaker): void {
    for (const { id, port } of this.#entries.values()) {
      this.#dispatcher.detach(target, id)
      port.detach(target)
    }
  }

  /** A target is no more. */
  gone(target: PortTaker): void {
    this.#dispatcher.detach(target)
    for (const { port } of this.#entries.values()) port.gone(target)
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
  close(id: number, place: PortUser, target: PortTaker & { withoutPort(id: number): void }): void {
    this.#dispatcher.detach(target, id)
    target.withoutPort(id)
    const entry = this.#byId(id)
    entry?.port.gone(target)
    if (entry !== undefined) this.#leave(entry, place)
  }

  /** A place is no more; ports that it alone used close. */
  forget(place: PortUser): void {
    for (const entry of [...this.#entries.values()]) if (entry.users.has(place)) this.#leave(entry, place)
  }

  #leave(entry: PortEntry, place: PortUser): void {
    entry.users.delete(place)
    if (entry.users.size > 0 || entry.own) return
    this.#entries.delete(entry.key)
    this.#dispatcher.shut(entry.id)
    entry.port.close()
  }

  /** Accepts what waits in the kernel's queues, then listens no more; what was accepted is still handed over. */
  retire(): void {
    this.#retired = true
    for (const { id, port } of this.#entries.values()) {
      port.acceptLast(() => this.#dispatcher.retire(id))
      port.close(true)
    }
  }

  /** Forgets everything; connections still waiting for a target are closed. */
  clear(): void {
    for (const entry of this.#entries.values()) {
      this.#dispatcher.shut(entry.id)
      entry.port.close(true)
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
}

/** The name of a system error, for a worker: numbers differ between platforms. */
export function codeOf(error: unknown): string {
  return (error as SyscallError).code ?? 'EINVAL'
}
