import { errnoOf, HandoverError } from '../errors.js'
import { DESCRIPTORS_PER_MESSAGE_MAX, READS_PER_TURN_MAX } from '../limits.js'
import { MSG_CTRUNC } from '../syscalls/constants.js'
import type { Credentials } from '../syscalls/credentials.js'
import { closeMany } from '../syscalls/descriptor.js'
import { ARRIVED_FIELDS, recvRights, senderOf } from '../syscalls/rights.js'
import { badFrame, decodeCount, FrameReader, FrameType } from '../wire/frame.js'
import { type DecodedOffer, decodeOffer, decodeVerdict, type Verdict } from '../wire/offer.js'
import { decodeTransports } from '../wire/transports.js'
import { Parts } from './parts.js'

const AGAIN = errnoOf('EAGAIN')
/** Where the kernel cut descriptors off, in the row of those that came. */
const CUT = -1

/** What the frames of one read mean. Offsets into `buffer` are valid only during the call. */
export interface InboxVisitor {
  /** `sender` is null where the kernel was not asked. */
  hello(value: unknown, sender: Credentials | null): void
  message(value: unknown): void
  /** `details` has an entry for each; null: nothing was said of any. */
  transports(tag: number, descriptors: Int32Array, details: readonly unknown[] | null): void
  /** Gives the descriptors; null when they were cut off for want of room: what came is closed already. */
  offered(offer: DecodedOffer, descriptors: Int32Array | null): void
  answered(verdict: Verdict): void
  withdrawn(offer: number): void
  /** `count` announced descriptors were cut off for want of room; those that came are closed already. */
  lost(count: number): void
  claimed(upTo: number): void
  refused(first: number, count: number): void
  finished(count: number): void
  /** Gives the descriptor of a listening port; null when it was cut off for want of room. */
  port(tag: number, descriptor: Int32Array | null): void
  accepted(count: number): void
}

/** How a read ended: more may come, or the peer is gone (with an errno if it was no orderly end). */
export type ReadResult = { ended: false } | { ended: true; errno: number }

const GOES_ON: ReadResult = { ended: false }

/**
 * The receiving half: pairs frames with descriptors by the count in their headers, never by read.
 *
 * Invariant: between frames no descriptor is left over; while a frame is unfinished, no more than it announced.
 */
export class Inbox {
  readonly #socket: number
  readonly #visitor: InboxVisitor
  readonly #reader = new FrameReader()
  readonly #arriving = new Int32Array(DESCRIPTORS_PER_MESSAGE_MAX)
  readonly #arrived = new Int32Array(ARRIVED_FIELDS)
  readonly #parts = new Parts()
  /** Descriptors whose frame is not complete yet, oldest first, with CUT where some are missing. */
  #waiting: number[] = []
  #sequence = 0
  #greeted = false

  /** Borrows the socket. @param received  descriptors that somebody has read before, behind a hello; null: nothing was */
  constructor(socket: number, visitor: InboxVisitor, received: number | null = null) {
    this.#socket = socket
    this.#visitor = visitor
    this.#greeted = received !== null
    this.#sequence = received ?? 0
  }

  /** Descriptors with sequence numbers that were received. */
  get sequence(): number {
    return this.#sequence
  }

  /** Whether all that was read was visited: whoever reads on begins with a frame. */
  get isBetweenFrames(): boolean {
    return this.#reader.filled === 0 && this.#waiting.length === 0 && this.#parts.isEmpty
  }

  /**
   * Reads what is there, up to a bound, and visits the frames.
   * @throws {HandoverError} ERR_HANDOVER_BAD_FRAME, …_DESCRIPTORS_MISSING, …_DESCRIPTORS_SURPLUS: the stream can
   *   no longer be understood; what had arrived unpaired is closed by `discard`
   */
  read(): ReadResult {
    for (let reads = 0; reads < READS_PER_TURN_MAX; reads++) {
      const { buffer, filled } = this.#reader
      const room = buffer.length - filled
      const received = recvRights(this.#socket, buffer, filled, room, this.#arriving, this.#arrived)
      if (received === AGAIN) return GOES_ON
      if (received < 0) return { ended: true, errno: received }
      const descriptors = this.#takeArrived()
      if (received === 0 && !descriptors) return { ended: true, errno: 0 }
      this.#reader.commit(received, this.#frame)
      this.#checkSurplus()
      // A read that brought descriptors stops at their message: more may wait. Any other short read emptied the socket.
      if (!descriptors && received < room) return GOES_ON
    }
    return GOES_ON
  }

  /** Closes every descriptor that no complete frame has claimed. */
  discard(): void {
    const open = this.#waiting.filter((descriptor) => descriptor !== CUT)
    this.#waiting = []
    closeMany(Int32Array.from(open))
  }

  #takeArrived(): boolean {
    const count = this.#arrived[0] as number
    for (let i = 0; i < count; i++) this.#waiting.push(this.#arriving[i] as number)
    if (((this.#arrived[1] as number) & MSG_CTRUNC) === 0) return count > 0
    this.#waiting.push(CUT)
    return true
  }

  readonly #frame = (type: FrameType, count: number, buffer: Buffer, offset: number, length: number): void => {
    if (!this.#greeted) {
      if (type !== FrameType.hello) throw badFrame('the first frame is no hello')
      this.#greeted = true
      return this.#visitor.hello(parse(buffer, offset, length), senderOf(this.#arrived))
    }
    switch (type) {
      case FrameType.claim:
        return this.#visitor.claimed(decodeCount(buffer, counted(offset, length, 8)))
      case FrameType.status:
        return this.#visitor.finished(decodeCount(buffer, counted(offset, length, 8)))
      case FrameType.refuse: {
        const at = counted(offset, length, 12)
        return this.#visitor.refused(decodeCount(buffer, at), buffer.readUInt32LE(at + 8))
      }
      case FrameType.transports: {
        const { sequence, port, details } = decodeTransports(buffer, offset, length, count)
        const descriptors = this.#pair(count, sequence)
        if (descriptors !== null) this.#visitor.transports(port, descriptors, details)
        return
      }
      case FrameType.message:
        if (count > 0) throw badFrame('a message with descriptors')
        return this.#visitor.message(parse(buffer, offset, length))
      case FrameType.part:
        return this.#parts.add(buffer.subarray(offset, offset + length))
      case FrameType.offer: {
        const offer = decodeOffer(this.#parts.join(buffer.subarray(offset, offset + length)), count)
        return this.#visitor.offered(offer, this.#take(count))
      }
      case FrameType.verdict:
        return this.#visitor.answered(decodeVerdict(buffer, offset, length))
      case FrameType.withdraw:
        return this.#visitor.withdrawn(decodeCount(buffer, counted(offset, length, 8)))
      case FrameType.port:
        if (count !== 1) throw badFrame(`a listening port of ${count} descriptors`)
        return this.#visitor.port(buffer.readUInt32LE(counted(offset, length, 4)), this.#take(1))
      case FrameType.accepted:
        return this.#visitor.accepted(decodeCount(buffer, counted(offset, length, 8)))
      default:
        throw badFrame(`a frame of type ${type} comes only once, first`)
    }
  }

  /** The descriptors of a frame with a sequence number. */
  #pair(count: number, sequence: number): Int32Array | null {
    if (sequence !== this.#sequence) throw badFrame(`sequence ${sequence} where ${this.#sequence} was due`)
    const descriptors = this.#take(count)
    this.#sequence += count
    if (descriptors === null) this.#visitor.lost(count)
    return descriptors
  }

  /** The `count` oldest descriptors; null when some of them were cut off: the others are closed then. */
  #take(count: number): Int32Array | null {
    const cut = this.#waiting.indexOf(CUT)
    if (cut >= 0 && cut < count) {
      closeMany(Int32Array.from(this.#waiting.splice(0, cut + 1)), 0, cut)
      return null
    }
    if (this.#waiting.length < count) {
      throw new HandoverError(
        'ERR_HANDOVER_DESCRIPTORS_MISSING',
        `a frame announced ${count} descriptors, ${this.#waiting.length} came`,
      )
    }
    return Int32Array.from(this.#waiting.splice(0, count))
  }

  #checkSurplus(): void {
    const allowed = this.#reader.filled === 0 ? 0 : this.#reader.announced
    const came = this.#waiting.length
    if (came <= allowed || (came === allowed + 1 && this.#waiting.at(-1) === CUT && allowed > 0)) return
    throw new HandoverError(
      'ERR_HANDOVER_DESCRIPTORS_SURPLUS',
      `${came} descriptors came where ${allowed} were announced`,
    )
  }
}

function counted(offset: number, length: number, wanted: number): number {
  if (length !== wanted) throw badFrame(`a payload of ${length} bytes where ${wanted} are due`)
  return offset
}

function parse(buffer: Buffer, offset: number, length: number): unknown {
  try {
    return JSON.parse(buffer.toString('utf8', offset, offset + length))
  } catch (cause) {
    throw new HandoverError('ERR_HANDOVER_BAD_FRAME', 'a payload is not JSON', { cause })
  }
}
