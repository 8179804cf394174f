import { EventEmitter } from 'node:events'
import { HandoverError } from '../errors.js'
import { FLUSH_TIMEOUT, OFFERED_DESCRIPTORS_MAX, OFFERS_UNSETTLED_MAX } from '../limits.js'
import type { Credentials } from '../syscalls/credentials.js'
import { close } from '../syscalls/descriptor.js'
import type { Hello } from '../wire/hello.js'
import { guarded } from './deliveries.js'
import type { End } from './end.js'
import { Link } from './link.js'
import { OffersReceived } from './offers-received.js'
import { OffersSent } from './offers-sent.js'
import type { ChannelEvents, ChannelOptions, Delivery, Peer, ReceiveOptions, SendOptions } from './options.js'
import { pack } from './packing.js'
import { onStop } from './stop.js'
import { unpack } from './unpacking.js'

/** How a channel comes to a new end after the old one was lost; rejects when it is given up. */
export type Reconnect = (signal: AbortSignal) => Promise<End>

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
  #peer: Peer | null = null
  #closed = false
  #referenced = true
  #error: Error | null = null
  #isOpened: (() => void) | null = null
  #isNotOpened: ((error: Error) => void) | null = null

  /**
   * Takes the end, a connected UNIX stream socket, and says hello. Bootstraps make channels; this is for those of your
   * own.
   * @throws {SyscallError} the socket cannot be watched; it is closed then
   */
  constructor(end: End, options: ChannelOptions = {}, reconnect?: Reconnect) {
    super()
    const window = { offers: OFFERS_UNSETTLED_MAX, descriptors: OFFERED_DESCRIPTORS_MAX }
    this.#sent = new OffersSent(() => this.#link?.closeAgreed())
    this.#received = new OffersReceived(window, options.willing, (error) => this.#refused(error))
    this.#reconnect = reconnect
    this.opened = new Promise((resolve, reject) => {
      this.#isOpened = () => resolve(this)
      this.#isNotOpened = reject
    })
    this.opened.catch(() => {}) // who does not wait for it hears of the end by `close`
    this.#attach(end)
  }

  /** Who is at the other end; null before it said hello. After its end, who it was. */
  get peer(): Peer | null {
    return this.#peer
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
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new HandoverError('ERR_HANDOVER_CLOSED', 'the channel is closed')
      let stop = (): void => {}
      const place = this.#sent.place(
        () => {
          stop()
          resolve()
        },
        (error) => {
          stop()
          reject(error)
        },
      )
      stop = onStop(options, place.withdraw)
      const { flushTimeout = FLUSH_TIMEOUT } = options
      try {
        const made = pack(things, { flushTimeout }, this.#link?.identity ?? 'none')
        if (made instanceof Promise) made.then((packed) => place.ready(packed, message), place.withdraw)
        else place.ready(made, message)
      } catch (error) {
        place.withdraw(error)
      }
    })
  }

  /**
   * Takes what comes next, now or when it comes; that is when the peer's `send` resolves. Gives the things.
   * @returns null at the end of the channel
   * @throws the error that ended the channel, once; the signal's reason; what a kind says if it cannot make a thing
   */
  receive(options: ReceiveOptions = {}): Promise<Delivery | null> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return resolve(this.#lastWord(reject))
      let stop = (): void => {}
      const forget = this.#received.take({
        given: (offer, descriptors) => {
          stop()
          try {
            const things = unpack(offer, descriptors)
            const { message } = offer.head
            if (things instanceof Promise) things.then((made) => resolve({ message, things: made }), reject)
            else resolve({ message, things })
          } catch (error) {
            reject(error)
          }
        },
        ended: () => {
          stop()
          resolve(this.#lastWord(reject))
        },
      })
      stop = onStop(options, (reason) => {
        if (forget()) reject(reason)
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
  async *[Symbol.asyncIterator](): AsyncGenerator<Delivery, void, void> {
    for (;;) {
      const delivery = await this.receive()
      if (delivery === null) return
      yield delivery
    }
  }

  /**
   * Closes the channel: what the peer did not claim by now stays ours, what was not taken here goes back to it. Closing
   * twice does nothing.
   */
  close(): void {
    if (this.#closed) return
    this.#received.returnAll()
    const link = this.#link
    this.#finish(null)
    link?.closeAgreed()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #attach(end: End): void {
    const silent = end.patience === undefined ? null : setTimeout(() => this.#tooSilent(end), end.patience)
    const link = new Link(
      end.descriptor,
      {
        opened: (hello, sender) => {
          if (silent !== null) clearTimeout(silent)
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
          if (silent !== null) clearTimeout(silent)
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
      this.#sent.abandon(new HandoverError('ERR_HANDOVER_UNSUPPORTED', 'the peer takes no offers'))
    } else {
      this.#sent.open(link, hello.window)
    }
    this.#received.open(link)
    this.#isOpened?.()
    this.#tell('connected', this.#peer)
  }

  /** Where nobody asks to be told, the program's own log is; what it did not want itself it knows. */
  #refused(error: HandoverError): void {
    if (this.listenerCount('refused') > 0) return this.#tell('refused', error)
    if (error.code === 'ERR_HANDOVER_REFUSED') return
    process.emitWarning(`${error.message} (from process ${this.#peer?.pid})`, {
      code: 'HANDOVER_REFUSED',
      type: 'HandoverWarning',
    })
  }

  #tooSilent({ patience }: End): void {
    this.#link?.fail(new HandoverError('ERR_HANDOVER_NO_HELLO', `the peer said nothing within ${patience} ms`))
  }

  /** The link is gone. What it had settles; what waits here waits for the next one, if there is to be one. */
  #detached(error: Error | null): void {
    this.#link = null
    this.#received.lost()
    this.#sent.lost(
      this.#closed
        ? new HandoverError('ERR_HANDOVER_CLOSED', 'the channel was closed before the peer took what was offered')
        : new HandoverError('ERR_HANDOVER_PEER_GONE', 'the peer ended before it took what was offered', {
            cause: error,
          }),
    )
    if (this.#closed) return this.#received.end()
    if (this.#reconnect === undefined) return this.#finish(error)
    this.#tell('disconnected', error)
    this.#reconnect(this.#stopped.signal).then(
      (end) => this.#reattach(end),
      (reason) => this.#finish(reason as Error),
    )
  }

  #reattach(end: End): void {
    if (this.#closed) return close(end.descriptor)
    try {
      this.#attach(end)
    } catch (error) {
      this.#finish(error as Error)
    }
  }

  /** The one exit. */
  #finish(error: Error | null): void {
    if (this.#closed) return
    this.#closed = true
    this.#error = error
    this.#stopped.abort()
    const closed = new HandoverError('ERR_HANDOVER_CLOSED', 'the channel was closed', { cause: error })
    this.#sent.abandon(error === null ? closed : error)
    this.#received.end()
    this.#isNotOpened?.(error ?? closed)
    process.nextTick(() => this.emit('close', error))
  }
}
