import { EventEmitter } from 'node:events'
import { shown, wholeNumber } from '../arguments.js'
import { Channel } from '../channel/channel.js'
import { guarded } from '../channel/deliveries.js'
import type { ChannelOptions } from '../channel/options.js'
import { HELLO_MAX, UNGREETED_MAX, UNTAKEN_CHANNELS_MAX } from '../limits.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import type { Credentials } from '../syscalls/credentials.js'
import { ListeningPort } from '../transport/listening-port.js'
import { type Admission, checkAdmission, stranger } from './admission.js'
import { bootstrapOf, type Caller, type EndSource } from './registry.js'
import { UnixSource } from './unix.js'

export interface ChannelListenOptions extends ChannelOptions {
  /** Permission bits of the socket file. Default 0o600. */
  mode?: number
  /** Who the socket file shall belong to. Default: this process's user and group. */
  owner?: { uid: number; gid: number }
  /** Who is let in. Default: the user of this process. Nobody else gets to send or receive a byte. */
  admit?: Admission
  /** Peers the kernel queues. Default 511. */
  backlog?: number
}

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
  #takers: ((channel: Channel | null) => void)[] = []
  #closed = false
  #paused = true

  /** Takes the source. */
  constructor(source: EndSource, options: ChannelListenOptions = {}) {
    super()
    this.#source = source
    this.#options = options
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

  ref(): this {
    this.#source.referenced = true
    return this
  }

  /** The next channel; null once this is closed. Gives it. */
  accept(): Promise<Channel | null> {
    const channel = this.#untaken.shift()
    this.#watch()
    if (channel !== undefined || this.#closed) return Promise.resolve(channel ?? null)
    return new Promise((resolve) => this.#takers.push(resolve))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Channel, void, void> {
    for (let channel = await this.accept(); channel !== null; channel = await this.accept()) yield channel
  }

  /** Stops listening; channels stay open, but for those that nobody has taken. Closing twice does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#source.close()
    for (const channel of [...this.#ungreeted, ...this.#untaken.splice(0)]) channel.close()
    for (const taken of this.#takers.splice(0)) taken(null)
    process.nextTick(() => this.emit('close'))
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Takes callers in while there is room; beyond, they wait in the kernel's queue. */
  #watch(): void {
    if (this.#closed) return
    const full = this.#ungreeted.size >= UNGREETED_MAX || this.#untaken.length >= UNTAKEN_CHANNELS_MAX
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
    if (this.listenerCount('channel') > 0) guarded(() => this.emit('channel', channel))
    else if (this.#takers.length > 0) this.#takers.shift()?.(channel)
    else this.#untaken.push(channel)
  }

  /** Where nobody asks to be told, the program's own log is. */
  #report(credentials: Credentials, reason: string): void {
    if (this.listenerCount('refused') > 0) return guarded(() => this.emit('refused', credentials, reason))
    process.emitWarning(`${this.address}: ${reason}`, { code: 'HANDOVER_STRANGER', type: 'HandoverWarning' })
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
  const { mode = 0o600, owner, admit, backlog } = options
  checkAdmission(admit)
  wholeNumber('mode', mode, 0, 0o7777)
  if (backlog !== undefined) wholeNumber('backlog', backlog, 1)
  if (owner !== undefined) {
    for (const name of ['uid', 'gid'] as const) wholeNumber(`owner.${name}`, owner[name], 0, 0xffffffff)
  }
  if (address instanceof Descriptor) return new ChannelListener(takenSource(address), options)
  const { bootstrap, place } = bootstrapOf(address, 'listen')
  const given = { mode, ...(owner && { owner }), ...(backlog !== undefined && { backlog }) }
  return new ChannelListener(await bootstrap.listen(place, given), options)
}

function takenSource(descriptor: Descriptor): EndSource {
  if (descriptor.fd < 0) throw new TypeError(`address: an open Descriptor, not ${shown(descriptor)} that is closed`)
  return new UnixSource(ListeningPort.adopt(descriptor.release()))
}
