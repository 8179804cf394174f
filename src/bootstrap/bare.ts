/** Programs that speak no protocol: they send a byte, or a few, and a descriptor with it. */
import { wholeNumber } from '../arguments.js'
import { endCredentials } from '../channel/end.js'
import { discard } from '../channel/unpacking.js'
import { DESCRIPTORS_PER_MESSAGE_MAX } from '../limits.js'
import { onAbort, reasonOf } from '../sendmsg/abort.js'
import { Descriptor, takeDescriptors } from '../sendmsg/descriptor.js'
import { readable } from '../sendmsg/readiness.js'
import { recvmsg } from '../sendmsg/receive.js'
import type { Credentials } from '../syscalls/credentials.js'
import { thingOf } from '../transport/things.js'
import { type Admission, checkAdmission, stranger } from './admission.js'
import { bootstrapOf, type Caller } from './registry.js'

export interface BareDelivery {
  /** What came with the things; one byte as a rule. */
  readonly bytes: Buffer
  /** A `net.Socket`, `ListeningPort`, `dgram.Socket` or `Descriptor` for each descriptor, as it is. Given. */
  readonly things: unknown[]
  readonly peer: Credentials
}

export interface ReceiveBareOptions {
  /** Permission bits of the socket file. Default 0o600. */
  mode?: number
  owner?: { uid: number; gid: number }
  /** Who is let in. Default: the user of this process. */
  admit?: Admission
  /** Ends it: the loop throws the signal's reason. */
  signal?: AbortSignal
}

/** Bytes of one receive. */
const SIZE = 64 * 1024
/** Bytes of control messages with as many descriptors as there can be, and credentials. */
const ANCILLARY = 64 + 4 * DESCRIPTORS_PER_MESSAGE_MAX

/**
 * Receives from programs that send bytes and descriptors with no protocol at all, as modules of servers and programs in
 * the manner of inetd do. Nothing is claimed or answered: what was received is ours.
 *
 * On a stream, bytes that come before a descriptor can arrive together with it, and those after it never do.
 * @param source  an address to listen at, as for `listen`; or a connected UNIX socket as a {@link Descriptor}, which is
 *   taken: the loop ends with it
 * @throws {SyscallError} as `listen` and `recvmsg`
 * @throws {TypeError | RangeError} a wrong argument
 */
export async function* receiveBare(
  source: string | Descriptor,
  options: ReceiveBareOptions = {},
): AsyncGenerator<BareDelivery, void, void> {
  const { mode = 0o600, owner, admit, signal } = options
  checkAdmission(admit)
  wholeNumber('mode', mode, 0, 0o7777)
  signal?.throwIfAborted()
  const queue = new Queue()
  const unlisten = signal === undefined ? null : onAbort(signal, () => queue.fail(reasonOf(signal)))
  try {
    if (source instanceof Descriptor) {
      queue.serve(source, () => queue.end())
    } else {
      const { bootstrap, place } = bootstrapOf(source, 'listen')
      const ends = await bootstrap.listen(place, { mode, ...(owner && { owner }) })
      queue.closing(() => ends.close())
      ends.watch((caller) => called(caller, admit, queue))
    }
    for (let delivery = await queue.next(); delivery !== null; delivery = await queue.next()) yield delivery
  } finally {
    unlisten?.()
    queue.close()
  }
}

function called(caller: Caller, admission: Admission | undefined, queue: Queue): void {
  const reason = stranger(caller.credentials, admission, [])
  if (reason === null) return queue.serve(new Descriptor(caller.admit().descriptor), () => {})
  caller.refuse()
  process.emitWarning(reason, { code: 'HANDOVER_STRANGER', type: 'HandoverWarning' })
}

/** If one cannot be made, none is left over. */
function thingsOf(owned: readonly Descriptor[]): unknown[] {
  const things: unknown[] = []
  try {
    for (const one of owned) things.push(thingOf(one.release()))
    return things
  } catch (error) {
    for (const thing of things) discard(thing)
    for (const one of owned) one.close()
    throw error
  }
}

/** What has come from any sender, each of which waits until its last delivery is taken. */
class Queue {
  readonly #waiting: { delivery: BareDelivery; taken: () => void }[] = []
  readonly #stop = new AbortController()
  readonly #closing: (() => void)[] = []
  #error: unknown = null
  #ended = false
  #wake: () => void = () => {}

  /** Something to be closed in the end. */
  closing(close: () => void): void {
    this.#closing.push(close)
  }

  /** Receives from a sender until it ends. Takes the descriptor. */
  serve(descriptor: Descriptor, ended: () => void): void {
    this.#receive(descriptor)
      .catch((error) => {
        // What one of several senders does wrong is no reason to leave the others.
        if (!this.#stop.signal.aborted) process.emitWarning(error as Error)
      })
      .finally(() => {
        descriptor.close()
        ended()
      })
  }

  async #receive(descriptor: Descriptor): Promise<void> {
    const { signal } = this.#stop
    const peer = endCredentials(descriptor.fd)
    for (;;) {
      signal.throwIfAborted()
      const message = recvmsg(descriptor, SIZE, ANCILLARY)
      if (message === null) {
        await readable(descriptor, { signal })
        continue
      }
      const owned = takeDescriptors(message.ancillary)
      if (message.data.length === 0 && owned.length === 0) return
      const things = thingsOf(owned)
      await new Promise<void>((taken) => {
        this.#waiting.push({ delivery: { bytes: message.data, things, peer }, taken })
        this.#wake()
      })
    }
  }

  async next(): Promise<BareDelivery | null> {
    for (;;) {
      const first = this.#waiting.shift()
      if (first !== undefined) {
        first.taken()
        return first.delivery
      }
      if (this.#error !== null) throw this.#error
      if (this.#ended) return null
      await new Promise<void>((wake) => {
        this.#wake = wake
      })
    }
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  fail(error: unknown): void {
    this.#error = error
    this.#wake()
  }

  /** Nobody takes any more: what has come is closed. */
  close(): void {
    this.#stop.abort()
    for (const close of this.#closing.splice(0)) close()
    for (const { delivery, taken } of this.#waiting.splice(0)) {
      for (const thing of delivery.things) discard(thing)
      taken()
    }
  }
}
