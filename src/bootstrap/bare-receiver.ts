/** Receives without a protocol: what senders say waits here until it is taken. */

import { EventEmitter } from 'node:events'
import { checkOptions, printable } from '../arguments.js'
import type { End } from '../channel/end.js'
import { iteration } from '../channel/iteration.js'
import { RECEIVE_OPTIONS, type ReceiveOptions } from '../channel/options.js'
import { onStop } from '../channel/stop.js'
import { discard } from '../channel/unpacking.js'
import { guarded } from '../guarded.js'
import { BARE_DESCRIPTORS_MAX, BARE_SENDERS_MAX } from '../limits.js'
import type { Descriptor } from '../sendmsg/descriptor.js'
import type { Credentials } from '../syscalls/credentials.js'
import { thingOf } from '../transport/things.js'
import { type Admission, stranger } from './admission.js'
import { BareSender } from './bare-sender.js'
import type { ListeningOptions } from './listen.js'
import type { Caller, EndSource } from './registry.js'
import { Takers } from './takers.js'

export interface BareDelivery {
  /** What came with the things; one byte as a rule. */
  readonly bytes: Buffer
  /**
   * A `net.Socket`, `ListeningPort`, `dgram.Socket` or `Descriptor` for each descriptor, as it is. Given. They are made
   * when the delivery is taken: listen to them in the same turn.
   */
  readonly things: unknown[]
  readonly peer: Credentials
}

export interface ReceiveBareOptions extends ListeningOptions {
  /** Closes it: who waits, or else who receives next, gets the signal's reason. */
  signal?: AbortSignal
}

export interface BareReceiverEvents {
  /** A sender was not let in; it was told nothing. */
  refused: [peer: Credentials, reason: string]
  /** Something of a sender's was lost: a message that there was no room for, or the sender itself. */
  failed: [peer: Credentials, error: Error]
  close: []
}

/** What waits to be taken. */
interface Waiting {
  readonly sender: BareSender
  readonly bytes: Buffer
  readonly owned: readonly Descriptor[]
  /** What is told in its place. */
  readonly error: Error | null
}

const NOTHING = Buffer.alloc(0)

/**
 * Receives what programs send that speak no protocol, each delivery in its turn: by `receive()`, or by
 * `for await (const delivery of receiver)`.
 *
 * Bounds: of each sender one message waits here, and all that wait have 512 descriptors; what else comes waits in the
 * kernel, where senders feel it.
 */
export class BareReceiver extends EventEmitter<BareReceiverEvents> implements AsyncIterable<BareDelivery> {
  /** Where senders connect to; empty where it receives from a socket that was connected already. */
  readonly address: string
  readonly #source: EndSource | null
  readonly #admission: Admission | undefined
  readonly #senders = new Set<BareSender>()
  readonly #takers = new Takers<Waiting | null>()
  readonly #unlisten: () => void
  #waiting: Waiting[] = []
  #descriptors = 0
  #full = false
  #paused = true
  #referenced = true
  #closed = false
  #error: unknown = null

  /** Takes what it receives from. For `receiveBare`. @throws {SyscallError} it cannot be watched; it is closed then */
  constructor(origin: EndSource | End, { admit, signal }: Pick<ReceiveBareOptions, 'admit' | 'signal'> = {}) {
    super()
    this.#source = 'watch' in origin ? origin : null
    this.#admission = admit
    this.address = this.#source?.address ?? ''
    if (!('watch' in origin)) this.#join(origin)
    this.#unlisten = onStop({ ...(signal && { signal }) }, (reason) => this.#finish(reason))
    this.#watch()
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Lets the process end although this receives. */
  unref(): this {
    return this.#reference(false)
  }

  ref(): this {
    return this.#reference(true)
  }

  /**
   * Takes the next delivery, now or when it comes; null at the end. Gives the things.
   * @throws the reason of a signal; ERR_HANDOVER_TIMED_OUT. Of a socket that was connected already also, once each: a
   *   SyscallError of it, EMFILE: there was no room for the descriptors of a message, EMSGSIZE: it is too long; and why no
   *   thing can be made of a descriptor. What came with it is closed, and the next call goes on
   */
  async receive(options: ReceiveOptions = {}): Promise<BareDelivery | null> {
    checkOptions(options, RECEIVE_OPTIONS)
    for (;;) {
      const next = await this.#takers.next(options, () => this.#next(), 'nothing came')
      if (next === null) return null
      try {
        if (next.error !== null) throw next.error
        return { bytes: next.bytes, things: thingsOf(next.owned), peer: next.sender.peer }
      } catch (error) {
        if (this.#source === null) throw error
        this.#failed(next.sender, error as Error)
      }
    }
  }

  /** Leaving the loop leaves it open. */
  [Symbol.asyncIterator](): AsyncIterableIterator<BareDelivery> {
    return iteration((options) => this.receive(options))
  }

  /** Stops; what nobody has taken is closed. Closing twice does nothing. */
  close(): void {
    this.#finish(null)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #reference(referenced: boolean): this {
    this.#referenced = referenced
    if (this.#source !== null && !this.#closed) this.#source.referenced = referenced
    for (const sender of this.#senders) sender.referenced = referenced
    return this
  }

  #next(): Waiting | null | undefined {
    const first = this.#waiting.shift()
    if (first !== undefined) {
      this.#descriptors -= first.owned.length
      first.sender.reading = !this.#full
      this.#watch()
      return first
    }
    if (!this.#closed) return undefined
    const error = this.#error
    this.#error = null
    if (error !== null) throw error
    return null
  }

  /** Takes senders in, and reads from them, while there is room; the last batch that was accepted is let in whole. */
  #watch(): void {
    if (this.#closed) return
    const full = this.#descriptors >= BARE_DESCRIPTORS_MAX
    if (full !== this.#full) {
      this.#full = full
      const waiting = new Set(this.#waiting.map(({ sender }) => sender))
      for (const sender of this.#senders) sender.reading = !full && !waiting.has(sender)
    }
    const crowded = this.#senders.size >= BARE_SENDERS_MAX
    if (this.#source === null || crowded === this.#paused) return
    this.#paused = crowded
    if (crowded) this.#source.pause()
    else this.#source.watch((caller) => this.#called(caller))
  }

  #called(caller: Caller): void {
    const { credentials } = caller
    const reason = this.#closed ? null : stranger(credentials, this.#admission, [])
    if (this.#closed) return caller.refuse() // before, or by the admission
    if (reason !== null) {
      caller.refuse()
      return this.#tell('refused', credentials, reason, 'HANDOVER_STRANGER', reason)
    }
    try {
      this.#join(caller.admit())
      this.#watch()
    } catch (error) {
      this.#tell('failed', credentials, error as Error, 'HANDOVER_REFUSED', (error as Error).message)
    }
  }

  #join({ descriptor, credentials }: End): void {
    const sender = new BareSender(descriptor, credentials, {
      arrived: (from, bytes, owned) => this.#arrived({ sender: from, bytes, owned, error: null }),
      refused: (from, error) => {
        if (this.#source === null) this.#arrived({ sender: from, bytes: NOTHING, owned: [], error })
        else this.#failed(from, error)
      },
      ended: (from, error) => this.#ended(from, error),
    })
    sender.referenced = this.#referenced
    sender.reading = !this.#full
    this.#senders.add(sender)
  }

  #arrived(message: Waiting): void {
    if (this.#takers.give(message)) return
    this.#waiting.push(message)
    this.#descriptors += message.owned.length
    message.sender.reading = false
    this.#watch()
  }

  /** Of several senders one that ends, well or not, leaves the others. */
  #ended(sender: BareSender, error: Error | null): void {
    if (this.#source === null) return this.#finish(error)
    this.#senders.delete(sender)
    sender.close()
    if (error !== null) this.#failed(sender, error)
    this.#watch()
  }

  #failed({ peer }: BareSender, error: Error): void {
    const hint = (error as { hint?: string }).hint ?? ''
    const said = `${error.message} (from process ${peer.pid}). ${hint}`
    this.#tell('failed', peer, error, 'HANDOVER_REFUSED', said.trim())
  }

  /** Where nobody asks to be told, the program's own log is. */
  #tell(event: 'refused' | 'failed', peer: Credentials, what: string | Error, code: string, said: string): void {
    if (this.listenerCount(event) > 0) return guarded(() => (this as EventEmitter).emit(event, peer, what))
    process.emitWarning(`${this.address}: ${printable(said)}`, { code, type: 'HandoverWarning' })
  }

  /** The one exit. An error is told once, before all that waits. */
  #finish(error: unknown): void {
    if (this.#closed) return
    this.#closed = true
    this.#unlisten?.()
    this.#source?.close()
    for (const sender of this.#senders) sender.close()
    this.#senders.clear()
    for (const { owned } of this.#waiting.splice(0)) closeAll(owned)
    if (error !== null && !this.#takers.fail(error)) this.#error = error
    this.#takers.end(null)
    process.nextTick(() => this.emit('close'))
  }
}

/** If one cannot be made, none is left over. */
function thingsOf(owned: readonly Descriptor[]): unknown[] {
  const things: unknown[] = []
  try {
    for (const one of owned) things.push(thingOf(one.release()))
    return things
  } catch (error) {
    for (const thing of things) discard(thing)
    closeAll(owned)
    throw error
  }
}

function closeAll(owned: readonly Descriptor[]): void {
  for (const one of owned) one.close()
}
