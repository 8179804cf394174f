import type { Target } from '../../dispatch/target.js'
import { SO_REUSEPORT, SOL_SOCKET } from '../../syscalls/constants.js'
import { setsockopt } from '../../syscalls/sockopt.js'
import type { Acceptor } from '../../transport/acceptor.js'
import type { SocketAddress } from '../../transport/address.js'
import type { AcceptBatch } from '../../transport/arrivals.js'
import { assertFree, type ListenOptions } from '../../transport/listen-options.js'
import type { ListeningPort } from '../../transport/listening-port.js'
import type { DistributionMode } from './distribution-options.js'
import { KeptPorts } from './port-keeper.js'

/** A target that can accept by itself. */
export interface PortTaker extends Target {
  /** Its release knows how. */
  readonly takesPorts: boolean
  /** It accepts from this port already. */
  hasPort(id: number): boolean
  /** Lets it accept from a port. Borrows the descriptor. @throws {HandoverError | SyscallError} it cannot be told */
  givePort(id: number, descriptor: number): void
  /** It accepts no more. @param last  nobody else will: it takes what waits first */
  refrain(id: number, last: boolean): void
}

/** A listening socket, and the place it is for; null: nobody's yet, or everybody's. */
export interface Socket {
  readonly port: ListeningPort
  readonly place: string | null
}

/** A listening socket, and who accepts from it besides the master. */
interface Member {
  readonly port: ListeningPort
  /** Whose it is, and its successor's; null: nobody's yet, or everybody's. */
  place: string | null
  readonly takers: Set<PortTaker>
}

/**
 * A port as its clients see it, however its connections get to the workers: one listening socket, or with 'reuseport' one
 * for each place.
 *
 * Invariants: the master has every socket until the whole port closes, so that no queue is ever dropped; at each somebody
 * accepts as long as any target is attached: its takers, else the master, who hands over what comes.
 */
export class DistributedPort implements Acceptor {
  readonly id: number
  readonly mode: DistributionMode
  readonly #options: ListenOptions
  /** Nobody else is to share the address. */
  readonly #alone: boolean
  readonly #kept: KeptPorts
  readonly #members: Member[] = []
  /** Attached, and handed connections by the master. */
  readonly #fed = new Set<Target>()
  #ready: (() => void) | null = null
  readonly #watched = new Set<Member>()
  #last: Member
  /** The master takes what waits, whoever else does. */
  #sweeping = false

  /**
   * Binds and listens, or goes on with sockets that do already. Takes those.
   * @param kept  opens sockets, and closes them
   * @param there  its sockets in order, each with the place it is for
   * @throws as `ListeningPort.open`
   */
  constructor(
    id: number,
    mode: DistributionMode,
    options: ListenOptions,
    kept = new KeptPorts(),
    there: readonly Socket[] = [],
  ) {
    this.id = id
    this.mode = mode
    this.#kept = kept
    const grouped = mode === 'reuseport' && !('path' in options)
    this.#alone = !('reusePort' in options && options.reusePort)
    this.#options = grouped ? { ...options, reusePort: true } : options
    for (const { port, place } of there) this.#add(port, place)
    if (there.length === 0) this.#begin(grouped)
    this.#last = this.#first
  }

  /**
   * Takes what is kept, or opens one. Of a group all that are kept are taken, though it is to be none any more: clients wait
   * in each. One that was opened alone lets others join it from now on.
   */
  #begin(grouped: boolean): void {
    const options = this.#options
    const all = grouped || (this.#alone && 'port' in options)
    for (let found = this.#kept.find(options); found !== null; found = all ? this.#kept.find(options) : null) {
      this.#add(found, null)
      if (grouped) setsockopt(found.fd, SOL_SOCKET, SO_REUSEPORT, 1)
    }
    if (this.#members.length > 0) return
    // Whoever else has the port open in the same way would get part of the connections, and nobody would notice.
    if (grouped && this.#alone && 'port' in options && options.port !== 0) assertFree(options)
    this.#open(options)
  }

  get #first(): Member {
    return this.#members[0] as Member
  }

  get address(): SocketAddress | string {
    return this.#first.port.address
  }

  /** How it was asked for. */
  get options(): ListenOptions {
    return this.#options
  }

  /** Its sockets in order, borrowed, each with the place it is for. */
  get sockets(): readonly Socket[] {
    return this.#members
  }

  get batch(): AcceptBatch {
    return this.#last.port.batch
  }

  /** Its sockets, borrowed: one, or one for each place. */
  get ports(): readonly ListeningPort[] {
    return this.#members.map(({ port }) => port)
  }

  /** A place is to have a socket of its own, if places have. @throws {SyscallError} there is none to be had */
  admit(place: string): void {
    if (this.mode !== 'reuseport' || this.#of(place) !== undefined) return
    const free = this.#members.find((member) => member.place === null)
    const { address } = this
    if (free !== undefined) free.place = place
    else if (typeof address !== 'string') {
      this.#open({ host: address.address, ...this.#options, port: address.port }).place = place
    }
  }

  /** A target has a part in it from now on. @param accepts  it may accept by itself */
  attach(target: PortTaker, accepts: boolean): void {
    const member = this.mode === 'share' ? this.#first : this.#of(target.id)
    if (member?.takers.has(target)) return
    if (this.mode === 'dispatch' || !accepts || member === undefined) return
    if (!target.hasPort(this.id) && !give(target, this.id, member)) return this.feed(target)
    this.#fed.delete(target)
    member.takers.add(target)
    this.#watch()
  }

  /** A target cannot accept by itself: it is handed connections. */
  feed(target: PortTaker): void {
    this.#drop(target)
    this.#fed.add(target)
    this.#watch()
  }

  /** The same for one that did not take it; one that was detached meanwhile is handed none. */
  notTaken(target: PortTaker): void {
    if (this.#members.some(({ takers }) => takers.has(target))) this.feed(target)
  }

  /** A target has no part in it any more. */
  detach(target: PortTaker, last = false): void {
    this.#fed.delete(target)
    if (this.#drop(target)) target.refrain(this.id, last)
    this.#watch()
  }

  /** The same for one that has closed the port itself, or is dead. */
  gone(target: PortTaker): void {
    this.#fed.delete(target)
    if (this.#drop(target)) this.#watch()
  }

  /** Has everybody take what waits: those who accept, and then no more, and the master in `take`. */
  acceptLast(take: () => void): void {
    for (const taker of this.#members.flatMap(({ takers }) => [...takers])) this.detach(taker, true)
    this.#sweep(take)
  }

  /** The program means a path that leads elsewhere now. @param take  accepts what waits at the socket before */
  renew(take: () => void): void {
    if (this.mode === 'reuseport') return
    const { port, takers } = this.#first
    const before = port.fd
    port.renew()
    if (port.fd === before) return
    this.#kept.renewed(port)
    for (const taker of [...takers]) if (!give(taker, this.id, this.#first)) this.feed(taker)
    if (this.mode !== 'dispatch') this.#sweep(take)
  }

  chmod(mode: number, keep: boolean): void {
    this.#first.port.chmod(mode, keep)
  }

  /** Listens no more. @param ends  this process is about to: whoever keeps ports keeps them */
  close(ends = false): void {
    for (const { port } of this.#members) {
      if (ends) port.close()
      else this.#kept.close(port)
    }
    this.#watched.clear()
  }

  /** Another process has it: closes our copies, in silence. */
  abandon(): void {
    for (const { port } of this.#members) port.abandon()
    this.#watched.clear()
  }

  watch(ready: () => void): void {
    this.#ready = ready
    this.#watch()
  }

  pause(): void {
    this.#ready = null
    this.#watch()
  }

  accept(most: number): number {
    for (const member of this.#members) {
      if (!this.#isOurs(member)) continue
      const count = member.port.accept(most)
      if (count === 0) continue
      this.#last = member
      return count
    }
    return 0
  }

  #open(options: ListenOptions): Member {
    return this.#add(this.#kept.open(options), null)
  }

  #add(port: ListeningPort, place: string | null): Member {
    const member: Member = { port, place, takers: new Set() }
    this.#members.push(member)
    this.#watch()
    return member
  }

  #of(place: string): Member | undefined {
    return this.#members.find((member) => member.place === place)
  }

  /** Whether the master accepts from it. */
  #isOurs(member: Member): boolean {
    const { takers } = member
    if (this.mode === 'dispatch' || this.#sweeping) return true
    return this.mode === 'share' && member === this.#first ? this.#fed.size > 0 : takers.size === 0
  }

  #drop(target: PortTaker): boolean {
    return this.#members.map(({ takers }) => takers.delete(target)).includes(true)
  }

  #sweep(take: () => void): void {
    this.#sweeping = true
    take()
    this.#sweeping = false
  }

  #watch(): void {
    const ready = this.#ready
    for (const member of this.#members) {
      const wanted = ready !== null && member.port.fd >= 0 && this.#isOurs(member)
      if (wanted === this.#watched.has(member)) continue
      if (wanted) member.port.watch(() => this.#ready?.())
      else member.port.pause()
      if (wanted) this.#watched.add(member)
      else this.#watched.delete(member)
    }
  }
}

/** @returns false: its release does not know how, there is no free descriptor, or it is gone */
function give(target: PortTaker, id: number, { port }: Member): boolean {
  if (!target.takesPorts) return false
  try {
    target.givePort(id, port.fd)
    return true
  } catch {
    return false
  }
}
