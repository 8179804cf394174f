import { EventEmitter } from 'node:events'
import { checkOptions } from '../arguments.js'
import { whenHeard } from '../awake.js'
import type { HandoverError } from '../errors.js'
import { guarded } from '../guarded.js'
import { reasonOf } from '../sendmsg/abort.js'
import type { Descriptor } from '../sendmsg/descriptor.js'
import type { Credentials } from '../syscalls/credentials.js'
import { close } from '../syscalls/descriptor.js'
import type { Hello } from '../wire/hello.js'
import { type End, identityStart, pidfdOf } from './end.js'
import {
  closedBeforeHello,
  closedHere,
  isHopeless,
  peerGone,
  saidNothing,
  takesNothing,
  unanswered,
  warnRefused,
} from './endings.js'
import { iteration } from './iteration.js'
import { Link } from './link.js'
import { OffersReceived } from './offers-received.js'
import { OffersSent } from './offers-sent.js'
import {
  type ChannelEvents,
  type ChannelOptions,
  type Delivery,
  type Peer,
  RECEIVE_OPTIONS,
  type ReceiveOptions,
  type Reconnect,
  type SendOptions,
} from './options.js'
import { sendOver } from './send-over.js'
import { onStop } from './stop.js'
import { unpack } from './unpacking.js'

/**
 * A channel to another process or thread, both ways alike: messages, and with them live connections, listening ports,
 * files. Whatever way it was made, it is the same.
 *
 * Order: what was sent first is taken first. Ownership: a thing that was sent is the peer's once `send` resolves; if it
 * rejects, it is the sender's as before.
 */
export class Channel extends EventEmitter<ChannelEvents> implements AsyncIterable<Delivery> {
  /** Resolves when the peer has said hello; rejects if the channel ends before. */
  readonly opened: Promise<this>
  readonly #sent: OffersSent
  readonly #received: OffersReceived
  readonly #reconnect: Reconnect | undefined
  readonly #stopped = new AbortController()
  #link: Link | null = null
  #end: End
  #own = '' // how the identity of its socket begins
  #peer: Peer | null = null
  #closed = false
  #referenced = true
  #error: Error | null = null
  #opening: { opened(): void; failed(error: Error): void } | null = null

  /**
   * Takes the end, a connected UNIX stream socket, and says hello. For bootstraps.
   * @throws {SyscallError} the socket cannot be watched; it is closed then
   */
  constructor(end: End, options: ChannelOptions = {}, reconnect?: Reconnect) {
    super()
    this.#sent = new OffersSent(() => this.#link?.closeAgreed(unanswered()))
    this.#received = new OffersReceived(options.willing, (error) => this.#refused(error))
    this.#reconnect = reconnect
    this.opened = new Promise((resolve, reject) => {
      this.#opening = { opened: () => resolve(this), failed: reject }
    })
    this.opened.catch(() => {}) // who does not wait for it hears of the end by `close`
    this.#end = end
    this.#attach(end)
  }

  /** Who is at the other end; null before it said hello. After its end, who it was. */
  get peer(): Peer | null {
    return this.#peer
  }

  /**
   * A pidfd of the peer, to wait for its end or to signal it (Linux). Gives it. Where the channel is a pair (spawned,
   * lent, over IPC) it is that of the pid that said hello, which another process may have by now.
   * @returns null where the system or the channel has none
   * @throws {SyscallError} ESRCH: it has ended; EMFILE
   */
  openPeerPidfd(): Descriptor | null {
    if (this.#link === null || this.#peer === null) return null
    return pidfdOf(this.#end, this.#link.descriptor, this.#peer.pid)
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Calls of `send` that are not settled yet. */
  get pending(): number {
    return this.#sent.count
  }

  /** What has arrived and was not taken yet. */
  get waiting(): number {
    return this.#received.count
  }

  /** Lets the process end although the channel is open. */
  unref(): this {
    this.#referenced = false
    if (this.#link !== null) this.#link.referenced = false
    return this
  }

  ref(): this {
    this.#referenced = true
    if (this.#link !== null) this.#link.referenced = true
    return this
  }

  /**
   * Sends a message and things. Takes the things: they are out of use at once, and ours no more when this resolves; if
   * it rejects they are as before.
   * @param message  any JSON; at most 8 MiB with what the things have read already
   * @param things   sockets, servers, ports, files, descriptors, at most 253 descriptors; `share(thing)` keeps one
   * @returns resolves when the peer has claimed everything
   * @throws {HandoverError} ERR_HANDOVER_REFUSED, _RETURNED, _PEER_GONE, _TIMED_OUT; _NOT_MOVABLE: a thing cannot leave;
   *   _CLOSED, _OUTBOX_FULL, _UNSUPPORTED: nothing was sent
   * @throws {TypeError | RangeError} a wrong argument
   */
  send(message: unknown, things: readonly unknown[] = [], options: SendOptions = {}): Promise<void> {
    return sendOver(this.#sent, this.#own, message, things, options)
  }

  /**
   * Takes what comes next, now or when it comes; that is when the peer's `send` resolves. Gives the things.
   * @returns null at the end of the channel
   * @throws the error that ended the channel, once; the signal's reason; what a kind says if it cannot make a thing
   */
  receive<Message = unknown, Things extends readonly unknown[] = unknown[]>(
    options: ReceiveOptions = {},
  ): Promise<Delivery<Message, Things> | null> {
    return new Promise((resolve, reject) => {
      checkOptions(options, RECEIVE_OPTIONS)
      if (this.#closed) return resolve(this.#lastWord(reject))
      if (options.signal?.aborted) throw reasonOf(options.signal)
      let forget = (): boolean => false
      const stop = onStop(options, (reason) => {
        if (!forget()) return
        stop()
        reject(reason)
      })
      forget = this.#received.take({
        given: (offer, descriptors) => {
          stop()
          try {
            resolve(unpack(offer, descriptors) as unknown as Delivery<Message, Things>)
          } catch (error) {
            reject(error)
          }
        },
        ended: () => {
          stop()
          resolve(this.#lastWord(reject))
        },
      })
    })
  }

  /** An error that ended the channel is told once, to whoever receives first. */
  #lastWord(reject: (error: Error) => void): null {
    const error = this.#error
    this.#error = null
    if (error !== null) reject(error)
    return null
  }

  /** All that comes, until the channel ends. Leaving the loop leaves the channel open. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Delivery> {
    return iteration((options) => this.receive(options))
  }

  /**
   * Closes the channel: what the peer did not claim by now stays ours, what was not taken here goes back to it. Closing
   * twice does nothing.
   */
  close(): void {
    if (this.#closed) return
    this.#received.returnAll()
    const link = this.#link
    this.#finish(null, closedHere())
    link?.closeAgreed()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #attach(end: End): void {
    this.#own = identityStart(end)
    this.#end = end
    const { patience } = end
    const speaks = patience === undefined ? null : whenHeard(patience, () => link.close(saidNothing(patience)))
    const link = new Link(
      end.descriptor,
      {
        opened: (hello, sender) => {
          speaks?.()
          this.#greeted(link, hello, sender ?? end.credentials)
        },
        offered: (offer, descriptors) => this.#received.offered(offer, descriptors),
        answered: (verdict) => this.#sent.answered(verdict),
        withdrawn: (number) => this.#received.withdrawn(number),
        drained: () => {
          this.#received.pump()
          this.#sent.pump()
        },
        closed: (error) => {
          speaks?.()
          this.#detached(error)
        },
      },
      end.asksSender === true,
    )
    if (link.closed) return // it is detached already
    link.referenced = this.#referenced
    this.#link = link
  }

  /** What a listener throws is uncaught, and stops nothing here. */
  #tell<Name extends keyof ChannelEvents>(name: Name, ...values: ChannelEvents[Name]): void {
    guarded(() => (this as EventEmitter).emit(name, ...values))
  }

  #greeted(link: Link, hello: Hello, credentials: Credentials): void {
    this.#peer = { ...credentials, version: hello.version, capabilities: hello.capabilities }
    if (!hello.capabilities.includes('offers') || hello.window === undefined) {
      this.#sent.end(takesNothing())
    } else {
      this.#sent.open(link, hello.window)
    }
    this.#received.open(link)
    this.#opening?.opened()
    this.#tell('connected', this.#peer)
  }

  /** Where nobody asks to be told, the program's own log is; what it did not want itself it knows. */
  #refused(error: HandoverError): void {
    if (this.listenerCount('refused') > 0) this.#tell('refused', error)
    else if (error.code !== 'ERR_HANDOVER_REFUSED') warnRefused(error, this.#peer)
  }

  /** The link is gone. What it had settles; what waits here waits for the next one, if there is to be one. */
  #detached(error: Error | null): void {
    this.#link = null
    this.#received.lost()
    this.#sent.lost(this.#closed ? closedHere() : peerGone(error))
    if (this.#closed) return this.#received.end()
    if (this.#reconnect === undefined || isHopeless(error)) return this.#finish(error, error ?? this.#goneAs())
    this.#tell('disconnected', error)
    this.#reconnect(this.#stopped.signal, () => this.#referenced).then(
      (end) => this.#reattach(end),
      (reason) => this.#finish(reason, reason),
    )
  }

  #reattach(end: End): void {
    if (this.#closed) return close(end.descriptor)
    try {
      this.#attach(end)
    } catch (error) {
      this.#finish(error as Error, error as Error)
    }
  }

  #goneAs(): Error {
    return this.#peer === null ? closedBeforeHello() : peerGone(null)
  }

  /** The one exit. `untold` is what those hear whose things were not sent. */
  #finish(error: Error | null, untold: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#error = error
    this.#stopped.abort()
    this.#sent.end(untold)
    this.#received.end()
    this.#opening?.failed(untold)
    process.nextTick(() => this.emit('close', error))
  }
}
