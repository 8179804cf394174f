import { guarded } from '../guarded.js'
import { SHUT_RD } from '../syscalls/constants.js'
import { close, closeMany } from '../syscalls/descriptor.js'
import { pollReadable } from '../syscalls/poll.js'
import { askSender } from '../syscalls/rights.js'
import { hangUp, shutdown } from '../syscalls/socket.js'
import { READABLE, Watcher, WRITABLE } from '../syscalls/watch.js'
import { assertUnderstands, type Hello, ownHello } from '../wire/hello.js'
import { Deliveries } from './deliveries.js'
import { endOf, linkClosed, linkFull } from './endings.js'
import type { LinkHandlers, Note } from './handlers.js'
import { Inbox } from './inbox.js'
import { incoming } from './incoming.js'
import { Outbox } from './outbox.js'
import { type LinkState, restOf } from './rest.js'
import { Sender } from './sender.js'
import { Soon } from './soon.js'
import { waitFor } from './wait-for.js'

/**
 * A connection to another process (or thread) over which frames and descriptors travel, both ways.
 *
 * Invariants: nothing but a hello is sent or accepted before both hellos; a received descriptor is delivered only
 * after the kernel has taken its claim; an offered one is held here until it is claimed, and ends claimed (closed
 * here) or returned, never both; the end of the peer is acted on only after everything it wrote was read.
 */
export class Link {
  /** Milliseconds the peer may go without word of closed transports: each word wakes it. Default 0. */
  statusDelay = 0
  readonly #outbox: Outbox
  readonly #sender: Sender
  readonly #inbox: Inbox
  readonly #watcher: Watcher
  readonly #handlers: LinkHandlers
  readonly #deliveries: Deliveries
  /** Null before its hello. */
  peer: Hello | null = null
  closed = false
  /** The link is to end, with this, once all that was said is heard. */
  #ending: { error: Error | null } | null = null
  #reading = false
  /** Nothing is read or written, as another process may. */
  #held = false
  readonly #soon = new Soon(() => this.flush())

  /**
   * Takes the descriptor of a connected UNIX stream socket, non-blocking, and says hello at once.
   * @param asksSender  the kernel is to tell who says hello at the other end
   * @param state  how somebody else left it, who was at this end before: it is held until `hold(false)`
   * @throws {SyscallError} the descriptor cannot be watched; it is closed then
   */
  constructor(
    readonly descriptor: number,
    handlers: LinkHandlers,
    asksSender = false,
    state: LinkState | null = null,
  ) {
    this.#handlers = handlers
    this.#deliveries = new Deliveries(handlers)
    this.#outbox = new Outbox(descriptor, state ?? Buffer.from(JSON.stringify(ownHello())))
    this.peer = state?.peer ?? null
    this.#outbox.pid = this.peer?.pid ?? 0
    this.#held = state !== null
    this.#sender = new Sender(this.#outbox, {
      drained: () => guarded(() => handlers.drained?.()),
      again: () => this.#deliver(),
      failed: (error) => this.closeAgreed(error),
    })
    this.#inbox = new Inbox(
      descriptor,
      incoming(this.#outbox, this.#deliveries, handlers, (peer) => {
        this.peer = peer
        if (asksSender) askSender(descriptor, false)
      }),
      state?.received ?? null,
    )
    try {
      if (asksSender) askSender(descriptor, true)
      this.#watcher = new Watcher(descriptor, (events) => this.#ready(events))
      if (!this.#held) this.#watcher.watch(READABLE)
    } catch (error) {
      close(descriptor)
      throw error
    }
    this.flush()
  }

  /** Descriptors that wait here for the peer to read. */
  get queued(): number {
    return this.#outbox.held.queued
  }

  /** Descriptors that were sent and not claimed yet; their copies are held here. */
  get unclaimed(): number {
    return this.#outbox.held.unclaimed
  }

  /** What whoever goes on with it elsewhere must know; null: it is not at rest, or closed. */
  get state(): LinkState | null {
    return this.closed ? null : restOf(this.peer, this.#outbox, this.#inbox, this.#deliveries)
  }

  /** Neither reads nor writes from now on, or goes on: what is given meanwhile waits here, what comes in the kernel. */
  hold(held: boolean): void {
    this.#held = held
    if (!held) this.#deliver()
    else if (!this.closed) this.#watcher.watch(0)
  }

  /** Another process goes on with it: our copy of the socket goes, in silence, and no handler is called. */
  letGo(): void {
    if (this.closed) return
    this.closed = true
    this.#sender.stop()
    this.#watcher.close()
    close(this.descriptor)
  }

  /** How many more descriptors may be taken before some are claimed. */
  get room(): number {
    return this.#outbox.held.room
  }

  /** Whether the channel keeps the process alive. It does at first. */
  set referenced(referenced: boolean) {
    this.#watcher.referenced = referenced
  }

  /**
   * Takes the descriptor of a transport; it goes at the next `flush`, with others of its tag. A note comes back with it.
   * @throws {HandoverError} ERR_HANDOVER_CLOSED, _OUTBOX_FULL (see `room`), _UNSUPPORTED (the peer does not understand
   *   what the note says): the caller still owns it
   */
  take(descriptor: number, tag: number, note?: Note): void {
    if (this.closed) throw linkClosed()
    if (note?.details !== undefined) assertUnderstands(this.peer, 'details')
    if (this.room === 0) throw linkFull()
    this.#outbox.take(descriptor, tag, note)
  }

  /**
   * Sends a JSON message, which leaves `spare` bytes of the queue free for those that matter more.
   * @throws {HandoverError} ERR_HANDOVER_CLOSED, ERR_HANDOVER_OUTBOX_FULL; {RangeError} it is too long
   */
  send(message: unknown, spare = 0): void {
    if (this.closed) throw linkClosed()
    this.#outbox.message(message, spare)
    this.flush()
  }

  /** Whether the kernel has everything that was given here. */
  get idle(): boolean {
    return !this.closed && this.#sender.idle
  }

  /** Sends the frames of an offer, or of a port. Borrows the descriptors until `sent`, or `dropped` at the end. */
  offer(parts: readonly Buffer[], last: Buffer, descriptors: Int32Array, sent: () => void, dropped?: () => void): void {
    for (const part of parts) this.#outbox.carry(part)
    this.#outbox.carry(last, descriptors, sent, dropped)
    this.flush()
  }

  /** Sends a frame without descriptors. A peer that makes us answer and never reads the answers loses the channel. */
  tell(frame: Buffer): void {
    if (this.closed) return
    try {
      this.#outbox.append(frame)
    } catch (error) {
      return this.closeAgreed(error as Error)
    }
    this.flush()
  }

  /**
   * Counts transports as closed, or as accepted here. The peer is told with the next claim, at the latest after
   * `statusDelay`; without a delay, once at the end of this turn of the event loop.
   */
  finish(count: number, accepted = 0): void {
    if (this.closed) return
    this.#outbox.finish(count, accepted)
    this.#soon.in(this.statusDelay)
  }

  /** Gives the kernel what is queued; what it does not take follows by itself when there is room. */
  flush(): void {
    this.#push()
    // The claims that arrivals waited for may have gone with this.
    if (this.#deliveries.count > 0) setImmediate(() => this.#deliver())
  }

  /**
   * Waits for a message without running the event loop; everything else that arrives is delivered later, in order.
   * For calls that must answer before they return. Blocks the thread.
   * @throws {HandoverError} ERR_HANDOVER_NO_ANSWER after `milliseconds`, ERR_HANDOVER_CLOSED
   */
  waitFor<Wanted>(wanted: (message: unknown) => message is Wanted, milliseconds: number): Wanted {
    const push = (): void => {
      if (this.closed) throw linkClosed()
      this.#push()
    }
    try {
      return waitFor(this.descriptor, milliseconds, this.#deliveries, wanted, push, () => this.#read(), this.#sender)
    } finally {
      setImmediate(() => this.#deliver())
    }
  }

  /**
   * Closes the channel to a peer that is known to be dead, after reading all it wrote. The end of the stream alone does
   * not tell: a program the peer started may have inherited its end.
   */
  closeAfterDeath(): void {
    this.#held = false
    while (!this.closed && pollReadable(this.descriptor, 0)) this.#read()
    this.#end(null)
  }

  /**
   * Closes the channel so that both sides agree on what was answered: first the peer can say no more, then what it said
   * is read, then the channel ends.
   */
  closeAgreed(error: Error | null = null): void {
    if (this.closed) return
    const draining = this.#ending !== null && !this.#reading
    this.#ending ??= { error }
    if (this.#reading || draining) return // the rest of what was read is heard first
    this.#drain()
  }

  #drain(): void {
    this.#sender.peerGone = true
    this.#held = false
    try {
      shutdown(this.descriptor, SHUT_RD)
      while (!this.closed && pollReadable(this.descriptor, 0)) this.#read()
    } catch {
      // the peer has gone already, which is agreement enough
    }
    this.#end(null)
  }

  /** Closes the channel; descriptors that were not claimed go back through `closed`. Closing twice does nothing. */
  close(error: Error | null = null): void {
    this.#end(error)
  }

  #ready(events: number): void {
    if ((events & WRITABLE) !== 0) this.#push()
    if ((events & READABLE) !== 0 && !this.closed) this.#read()
    this.#deliver()
  }

  #read(): void {
    if (this.#reading || this.#held) return
    const draining = this.#ending !== null
    this.#reading = true
    try {
      const result = this.#inbox.read()
      // An end that comes with an answer is read again, behind it: what else came is for whom the answer makes ready.
      const early = !draining && this.#deliveries.isAnswered
      const error = result.ended && !early ? endOf(result.errno, draining) : undefined
      if (error === null || (draining && error)) this.#end(error)
      else if (error) this.#ending ??= { error }
    } catch (error) {
      this.#end(error as Error)
    } finally {
      this.#reading = false
    }
    if (this.#ending !== null && !draining && !this.closed) this.#drain()
  }

  /** Claims first, then hands out: until the kernel has every claim, the peer may still redirect what it sent. */
  #deliver(): void {
    this.#push()
    if (this.closed) return
    this.#deliveries.handOut(this.#sender.idle)
  }

  /** Sends what can be sent, and watches for what is awaited: after a socket error the watcher has stopped by itself. */
  #push(): void {
    if (this.closed || this.#held) return
    this.#sender.push()
    if (!this.closed) this.#watcher.watch(this.#sender.blocked ? READABLE | WRITABLE : READABLE)
  }

  /** The one exit: every path that ends the channel comes through here, once. */
  #end(error: Error | null): void {
    if (this.closed) return
    const told = this.#ending === null ? error : this.#ending.error
    hangUp(this.descriptor)
    this.letGo()
    this.#inbox.discard()
    this.#outbox.abandon()
    this.#deliveries.handLast()
    const returned = this.#outbox.giveBack()
    if (this.#handlers.closed) guarded(() => this.#handlers.closed?.(told, returned))
    else closeMany(returned.descriptors)
  }
}
