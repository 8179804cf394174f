import { diagnostics, publish } from '../diagnostics.js'
import { dispositionOf, SyscallError } from '../errors.js'
import { DESCRIPTORS_PER_MESSAGE_MAX, FRAME_PAYLOAD_MAX, OUTBOX_BYTES_MAX } from '../limits.js'
import { sendRights } from '../syscalls/rights.js'
import { encodeCount, encodeFrame, encodeHeader, FrameType, HEADER_BYTES } from '../wire/frame.js'
import { detailedTransports, TRANSPORTS_FRAME_BYTES, writeTransports } from '../wire/transports.js'
import type { Counters } from './counters.js'
import { outboxFull } from './endings.js'
import { HeldDescriptors, type Note, type Returned } from './held-descriptors.js'
import { type Bytes, type Carrying, isSpent, type Queued, type Transports } from './queued.js'

/**
 * What became of a flush: all is with the kernel, some waits for room, some waits for time (descriptors in flight
 * are too many, which no readiness event ends), or the peer is gone.
 */
export type Flushed = 'done' | 'wait' | 'retry' | 'gone'

/** After these the stream still has an end to be read; any other failure is not the peer's doing. */
const PEER_GONE: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET'])

const NO_DESCRIPTORS = new Int32Array(0)
const CLAIM_FRAME_BYTES = HEADER_BYTES + 8
const SMALL = 512
const nothing = (): void => {}

/**
 * The sending half: frames in order, the descriptors they carry, and the claims owed to the peer.
 *
 * Every descriptor-bearing frame starts a message of its own, so that what a truncation cut off belongs to one
 * frame. Claims and status are cumulative: however long the peer does not read, one of each waits.
 */
export class Outbox {
  readonly held = new HeldDescriptors()
  /** The process at the other end; 0: it has not said hello yet. */
  pid = 0
  readonly #socket: number
  readonly #queue: Queued[] = []
  readonly #small = Buffer.allocUnsafeSlow(SMALL)
  readonly #header = Buffer.allocUnsafeSlow(TRANSPORTS_FRAME_BYTES)
  #hello: Bytes | null
  #queuedBytes = 0
  #open = false
  #gone = false
  #claimed = 0
  #claimedSent = 0
  #finished = 0
  #finishedSent = 0
  #accepted = 0
  #acceptedSent = 0

  /** Borrows the socket. @param start  our hello, or how somebody else left it, by whom it was said, and heard */
  constructor(socket: number, start: Uint8Array | Counters) {
    this.#socket = socket
    const frame = start instanceof Uint8Array ? encodeFrame(FrameType.hello, start) : null
    this.#hello = frame && { kind: 'bytes', buffer: frame, start: 0, end: frame.length }
    if (!(start instanceof Uint8Array)) this.#resume(start)
  }

  /** What was told, when all of it is with the kernel. */
  get counters(): Counters {
    return {
      sent: this.held.sent,
      claimed: this.#claimedSent,
      finished: this.#finishedSent,
      accepted: this.#acceptedSent,
    }
  }

  #resume({ sent, claimed, finished, accepted }: Counters): void {
    this.#open = true
    this.held.startAt(sent)
    this.#claimed = claimed
    this.#claimedSent = claimed
    this.#finished = finished
    this.#finishedSent = finished
    this.#accepted = accepted
    this.#acceptedSent = accepted
  }

  /** The peer's hello was accepted: from now on more than our own hello may go. */
  open(): void {
    this.#open = true
  }

  get idle(): boolean {
    const told = this.#finished === this.#finishedSent && this.#accepted === this.#acceptedSent
    return this.#queue.length === 0 && this.#claimed === this.#claimedSent && told
  }

  /** Takes a descriptor; it goes with the next flush, in a frame of its tag. */
  take(descriptor: number, tag: number, note?: Note): void {
    this.held.take(descriptor, tag, note)
    const last = this.#queue.at(-1)
    if (last?.kind === 'transports' && last.tag === tag) last.count += 1
    else this.#queue.push({ kind: 'transports', tag, count: 1 })
  }

  /**
   * Queues a message.
   * @param spare  bytes that must be free behind it, for messages that matter more
   * @throws {RangeError} over a limit; {HandoverError} ERR_HANDOVER_OUTBOX_FULL. Nothing is queued then.
   */
  message(message: unknown, spare = 0): void {
    const payload = Buffer.from(JSON.stringify(message))
    if (payload.length > FRAME_PAYLOAD_MAX) {
      throw new RangeError(`message: ${payload.length} bytes as JSON are over ${FRAME_PAYLOAD_MAX}`)
    }
    this.append(encodeFrame(FrameType.message, payload), spare)
  }

  /**
   * Queues a frame that carries descriptors, or none, behind all else: who gives it bounds it. Borrows them until `sent`,
   * which is called once the kernel has the descriptors, or `dropped`: it never will.
   */
  carry(
    frame: Buffer,
    descriptors: Int32Array = NO_DESCRIPTORS,
    sent: () => void = nothing,
    dropped: () => void = nothing,
  ): void {
    this.#queue.push({ kind: 'carrying', frame, descriptors, count: descriptors.length, sent, dropped })
  }

  /** The receiver of this side has taken `count` more descriptors. */
  claim(count: number): void {
    this.#claimed += count
  }

  /** The receiver of this side does not take the next `count` descriptors. */
  refuse(count: number): void {
    this.#encodeClaim()
    const frame = Buffer.allocUnsafe(HEADER_BYTES + 12)
    const at = encodeCount(frame, encodeHeader(frame, 0, FrameType.refuse, 12), this.#claimed)
    frame.writeUInt32LE(count, at)
    this.append(frame)
    this.#claimed += count
    this.#claimedSent = this.#claimed
  }

  /** `count` more transports have closed, and `accepted` more were accepted here. */
  finish(count: number, accepted: number): void {
    this.#finished += count
    this.#accepted += accepted
  }

  /**
   * Gives the kernel as much as it takes; before the peer's hello that is our own hello.
   * @throws {SyscallError} the socket is of no use any more
   */
  flush(): Flushed {
    if (this.#gone) return 'gone'
    if (this.#hello !== null) {
      const sent = this.#sendBytes(this.#hello)
      if (sent < 0) return this.#failed(sent)
      if (this.#hello.start < this.#hello.end) return 'wait'
      this.#hello = null
    }
    if (!this.#open) return 'done'
    do {
      for (let item = this.#queue[0]; item !== undefined; item = this.#queue[0]) {
        const sent = this.#send(item)
        if (sent < 0) return this.#failed(sent)
        if (this.#queue[0] === item && isSpent(item)) this.#queue.shift()
      }
    } while (this.#encodeCounters())
    return 'done'
  }

  /** Nothing can be sent any more; what is held stays held until someone takes it back. */
  abandon(): void {
    this.#gone = true
    for (const item of this.#queue.splice(0)) if (item.kind === 'carrying') item.dropped()
    this.#queuedBytes = 0
  }

  /** Gives what the peer has not claimed, and never will. */
  giveBack(): Returned {
    const returned = this.held.giveBack(this.held.taken)
    this.returned(returned.descriptors.length)
    return returned
  }

  /** So many came back. */
  returned(connections: number): void {
    if (connections === 0 || !diagnostics.return.hasSubscribers) return
    publish<'handover:return'>(diagnostics.return, { pid: this.pid, connections })
  }

  #failed(errno: number): Flushed {
    const disposition = dispositionOf(errno)
    if (disposition === 'wait') return 'wait'
    if (disposition === 'retry' || disposition === 'shed') return 'retry'
    const error = new SyscallError(errno, 'sendmsg')
    if (!PEER_GONE.has(error.code)) throw error
    this.abandon()
    return 'gone'
  }

  /** Only behind an empty queue: while it is blocked, counters go on counting and are written once. */
  #encodeCounters(): boolean {
    this.#encodeClaim()
    if (this.#accepted !== this.#acceptedSent) {
      this.#acceptedSent = this.#accepted // before those that have closed, which may be among them
      this.#encodeCounter(FrameType.accepted, this.#accepted)
    }
    if (this.#finished !== this.#finishedSent) {
      this.#finishedSent = this.#finished
      this.#encodeCounter(FrameType.status, this.#finished)
    }
    return this.#queue.length > 0
  }

  #encodeClaim(): void {
    if (this.#claimed === this.#claimedSent) return
    this.#claimedSent = this.#claimed
    this.#encodeCounter(FrameType.claim, this.#claimed)
  }

  #encodeCounter(type: FrameType, count: number): void {
    const item = this.#reserve(CLAIM_FRAME_BYTES)
    item.end = encodeCount(item.buffer, encodeHeader(item.buffer, item.end, type, 8), count)
    this.#queuedBytes += CLAIM_FRAME_BYTES
  }

  /**
   * Queues a whole frame without descriptors.
   * @throws {HandoverError} ERR_HANDOVER_OUTBOX_FULL: the peer does not read; nothing is queued then
   */
  append(frame: Buffer, spare = 0): void {
    if (this.#queuedBytes + frame.length + spare > OUTBOX_BYTES_MAX) throw outboxFull(this.#queuedBytes)
    const item = this.#reserve(frame.length)
    frame.copy(item.buffer, item.end)
    item.end += frame.length
    this.#queuedBytes += frame.length
  }

  /** A last item with room for `length` bytes; an empty queue reuses one small buffer. */
  #reserve(length: number): Bytes {
    const last = this.#queue.at(-1)
    if (last?.kind === 'bytes' && last.end + length <= last.buffer.length) return last
    const reusable = this.#queue.length === 0 && length <= SMALL
    const buffer = reusable ? this.#small : Buffer.allocUnsafe(Math.max(SMALL, length))
    const item: Bytes = { kind: 'bytes', buffer, start: 0, end: 0 }
    this.#queue.push(item)
    return item
  }

  #send(item: Queued): number {
    if (item.kind === 'bytes') return this.#sendBytes(item)
    return item.kind === 'transports' ? this.#sendHeld(item) : this.#sendCarrying(item)
  }

  #sendBytes(item: Bytes): number {
    const sent = sendRights(this.#socket, item.buffer, item.start, item.end - item.start, NO_DESCRIPTORS, 0, 0)
    if (sent < 0) return sent
    item.start += sent
    if (item !== this.#hello) this.#queuedBytes -= sent
    return sent
  }

  #sendHeld(item: Transports): number {
    const { descriptors, first, count: most } = this.held.next(Math.min(item.count, DESCRIPTORS_PER_MESSAGE_MAX))
    const details = this.held.details(most)
    const { frame, count } =
      details === null
        ? { frame: writeTransports(this.#header, most, this.held.sent, item.tag), count: most }
        : detailedTransports(this.held.sent, item.tag, details)
    const sent = sendRights(this.#socket, frame, 0, frame.length, descriptors, first, count)
    if (sent < 0) return sent
    this.held.sent += count
    item.count -= count
    if (diagnostics.send.hasSubscribers) {
      publish<'handover:send'>(diagnostics.send, { pid: this.pid, port: item.tag, connections: count })
    }
    if (sent < frame.length) this.#restOf(frame, sent, item.count === 0)
    return sent
  }

  #sendCarrying(item: Carrying): number {
    const { frame, descriptors, count } = item
    const sent = sendRights(this.#socket, frame, 0, frame.length, descriptors, 0, count)
    if (sent < 0) return sent
    this.#queue.shift()
    if (sent < frame.length) this.#restOf(frame, sent, false)
    item.sent()
    if (item.sent !== nothing && diagnostics.offer.hasSubscribers) {
      publish<'handover:offer'>(diagnostics.offer, { pid: this.pid, descriptors: count })
    }
    return sent
  }

  /** The descriptors went with the first byte: only the rest of the bytes is still to go, before all else. */
  #restOf(frame: Buffer, sent: number, spent: boolean): void {
    const rest = Buffer.from(frame.subarray(sent))
    if (spent) this.#queue.shift()
    this.#queue.unshift({ kind: 'bytes', buffer: rest, start: 0, end: rest.length })
    this.#queuedBytes += rest.length
  }
}
