import { EventEmitter } from 'node:events'
import { checkOptions, printable, shown, wholeNumber } from '../arguments.js'
import { Channel } from '../channel/channel.js'
import { iteration } from '../channel/iteration.js'
import type { ChannelOptions } from '../channel/options.js'
import type { StopOptions } from '../channel/stop.js'
import { guarded } from '../guarded.js'
import { HELLO_MAX, UNGREETED_MAX, UNTAKEN_CHANNELS_MAX } from '../limits.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import type { Credentials } from '../syscalls/credentials.js'
import { ListeningPort } from '../transport/listening-port.js'
import { type Admission, checkAdmission, stranger } from './admission.js'
import { type BootstrapListenOptions, bootstrapOf, type Caller, type EndSource } from './registry.js'
import { Takers } from './takers.js'
import { UnixSource } from './unix.js'

/** What every listener is told. */
export interface ListeningOptions {
  /** Permission bits of the socket file. Default 0o600. */
  mode?: number
  /** Who the socket file shall belong to. Default: this process's user and group. */
  owner?: { uid: number; gid: number }
  /** Who is let in. Default: the user of this process. Nobody else gets to send or receive a byte. */
  admit?: Admission
  /** Peers the kernel queues. Default 511. */
  backlog?: number
}

export interface ChannelListenOptions extends ListeningOptions, ChannelOptions {}

export interface ChannelListenerEvents {
  /** A peer was let in and has said hello. Gives the channel. */
  channel: [channel: Channel]
  /** A peer was not let in; it was told nothing. */
  refused: [peer: Credentials, reason: string]
  /** A peer was let in, but no channel came of it. */
  failed: [peer: Credentials, error: Error]
  close: []
}

/**
 * Listens for peers. Each that is let in becomes a channel, by the event 'channel' or, where nobody listens to that, by
 * `for await (const channel of listener)`.
 */
export class ChannelListener extends EventEmitter<ChannelListenerEvents> implements AsyncIterable<Channel> {
  readonly #source: EndSource
  readonly #options: ChannelListenOptions
  /** Let in, and not greeted yet. */
  readonly #ungreeted = new Set<Channel>()
  #untaken: Channel[] = []
  readonly #takers = new Takers<Channel | null>()
  #closed = false
  #paused = true
  /** Nobody is taken in, who comes waits. */
  #held = false

  /** Takes the source. */
  constructor(source: EndSource, options: ChannelListenOptions = {}) {
    super()
    this.#source = source
    this.#options = options
    ;(this as EventEmitter).on('newListener', (event) => {
      if (event === 'channel') process.nextTick(() => this.#drain()) // it is attached only after this
    })
    this.#watch()
  }

  /** Where peers connect to: hand it on by any means. */
  get address(): string {
    return this.#source.address
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Lets the process end although this listens. */
  unref(): this {
    this.#source.referenced = false
    return this
  }

  /** Takes nobody in, or goes on: who comes meanwhile waits in the kernel's queue. */
  hold(held: boolean): void {
    this.#held = held
    this.#watch()
  }

  ref(): this {
    this.#source.referenced = true
    return this
  }

  /**
   * The next channel; null once this is closed. Gives it.
   * @throws {HandoverError} ERR_HANDOVER_TIMED_OUT; the signal's reason. Nothing is lost then: who comes next asks again
   * @throws {TypeError | RangeError} a wrong option
   */
  async accept(options: StopOptions = {}): Promise<Channel | null> {
    checkOptions(options, ['timeout', 'signal'])
    return this.#takers.next(options, () => this.#next(), 'nobody came')
  }

  #next(): Channel | null | undefined {
    const channel = this.#untaken.shift()
    this.#watch()
    return channel ?? (this.#closed ? null : undefined)
  }

  /** Leaving the loop leaves it open. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Channel> {
    return iteration((options) => this.accept(options))
  }

  /** Stops listening; channels stay open, but for those that nobody has taken. Closing twice does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#source.close()
    for (const channel of [...this.#ungreeted, ...this.#untaken.splice(0)]) channel.close()
    this.#takers.end(null)
    process.nextTick(() => this.emit('close'))
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * Takes callers in while there is room; beyond, they wait in the kernel's queue. Those accepted in one batch with the
   * last that has room are let in, too.
   */
  #watch(): void {
    if (this.#closed) return
    const full = this.#held || this.#ungreeted.size >= UNGREETED_MAX || this.#untaken.length >= UNTAKEN_CHANNELS_MAX
    if (full === this.#paused) return
    this.#paused = full
    if (full) this.#source.pause()
    else this.#source.watch((caller) => this.#called(caller))
  }

  #called(caller: Caller): void {
    if (this.#closed) return caller.refuse()
    const { credentials } = caller
    const reason = stranger(credentials, this.#options.admit, [])
    if (reason !== null) {
      caller.refuse()
      return this.#report(credentials, reason)
    }
    try {
      this.#greet(new Channel({ ...caller.admit(), patience: HELLO_MAX }, this.#options), credentials)
    } catch (error) {
      guarded(() => this.emit('failed', credentials, error as Error))
    }
  }

  #greet(channel: Channel, credentials: Credentials): void {
    this.#ungreeted.add(channel)
    channel.opened
      .then(
        () => this.#opened(channel),
        (error: Error) => {
          if (!this.#closed) guarded(() => this.emit('failed', credentials, error))
        },
      )
      .finally(() => {
        this.#ungreeted.delete(channel)
        this.#watch()
      })
    this.#watch()
  }

  #opened(channel: Channel): void {
    this.#ungreeted.delete(channel)
    if (this.#closed) return channel.close()
    if (this.listenerCount('channel') === 0 && this.#takers.give(channel)) return
    this.#untaken.push(channel)
    this.#drain()
  }

  /** Hands out what came before anybody listened to the event; no more than its listeners want, who may be there `once`. */
  #drain(): void {
    while (this.#untaken.length > 0 && this.listenerCount('channel') > 0) {
      const channel = this.#untaken.shift() as Channel
      guarded(() => this.emit('channel', channel))
    }
    this.#watch()
  }

  /** Where nobody asks to be told, the program's own log is. */
  #report(credentials: Credentials, reason: string): void {
    if (this.listenerCount('refused') > 0) return guarded(() => this.emit('refused', credentials, reason))
    process.emitWarning(`${this.address}: ${printable(reason)}`, { code: 'HANDOVER_STRANGER', type: 'HandoverWarning' })
  }
}

/**
 * Listens for channels.
 * @param address  a path; `@name` for an abstract name (Linux), `@` for one that the kernel picks; `systemd:name`; or a
 *   listening UNIX stream socket as a {@link Descriptor}, which is taken. A stale socket file is replaced, one that
 *   somebody listens at never
 * @throws {SyscallError} EADDRINUSE: somebody listens there; EACCES, ENOENT, EPERM (owner)
 * @throws {TypeError | RangeError} a wrong argument
 */
export async function listen(
  address: string | Descriptor,
  options: ChannelListenOptions = {},
): Promise<ChannelListener> {
  checkOptions(options, ['mode', 'owner', 'admit', 'backlog', 'willing'])
  const given = listenOptions(options)
  if (address instanceof Descriptor) return new ChannelListener(takenSource(address), options)
  const { bootstrap, place } = bootstrapOf(address, 'listen')
  return new ChannelListener(await bootstrap.listen(place, given), options)
}

/** Options of all that listens, as a bootstrap takes them. @throws {TypeError | RangeError} */
export function listenOptions(options: ListeningOptions): BootstrapListenOptions {
  const { mode = 0o600, owner, admit, backlog } = options
  checkAdmission(admit)
  wholeNumber('mode', mode, 0, 0o7777)
  if (backlog !== undefined) wholeNumber('backlog', backlog, 1)
  if (owner !== undefined) {
    for (const name of ['uid', 'gid'] as const) wholeNumber(`owner.${name}`, owner?.[name], 0, 0xffffffff)
  }
  return { mode, ...(owner && { owner }), ...(backlog !== undefined && { backlog }) }
}

/** Takes a socket that listens already. */
export function takenSource(descriptor: Descriptor): EndSource {
  if (descriptor.fd < 0) throw new TypeError(`address: an open Descriptor, not ${shown(descriptor)} that is closed`)
  return new UnixSource(ListeningPort.adopt(descriptor.release()))
}
