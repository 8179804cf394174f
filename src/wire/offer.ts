/**
 * The payload of an offer: `number u64 | JSON length u32 | JSON | bytes`. The JSON holds the message and, for each
 * thing, its kind, who its descriptors are, and how many of the bytes are its own.
 */
import { shown } from '../arguments.js'
import { FRAME_PAYLOAD_MAX, OFFER_BYTES_MAX } from '../limits.js'
import { badFrame, decodeCount, encodeCount, encodeFrame, encodeHeader, FrameType, HEADER_BYTES } from './frame.js'

/** A thing as it is announced. */
export interface AnnouncedThing {
  readonly kind: string
  /** Who each of its descriptors is, in order; docs/wire-format.md has the form. */
  readonly ids: readonly string[]
  readonly details?: unknown
  /** How many of the offer's bytes are its own; left out for none. */
  readonly bytes?: number
}

export interface OfferHead {
  readonly message?: unknown
  readonly things: readonly AnnouncedThing[]
}

const PREFIX_BYTES = 12
/** Of the reason of a verdict. */
const REASON_CHARACTERS_MAX = 1024
const EMPTY = Buffer.alloc(0)

/** How an offer ends. */
export const Outcome = { claimed: 0, refused: 1, returned: 2 } as const
export type Outcome = (typeof Outcome)[keyof typeof Outcome]

/**
 * @returns the frames of an offer: parts, without descriptors, and the last, which carries them all
 * @throws {RangeError} it is over OFFER_BYTES_MAX; {TypeError} the message is no JSON
 */
export function encodeOffer(
  number: number,
  head: OfferHead,
  bytes: readonly Uint8Array[],
  descriptors: number,
): { parts: Buffer[]; last: Buffer } {
  const json = jsonOf(head)
  const length = Buffer.byteLength(json)
  const total = bytes.reduce((sum, piece) => sum + piece.length, PREFIX_BYTES + length)
  if (total > OFFER_BYTES_MAX) {
    throw new RangeError(`message and unread bytes: at most ${OFFER_BYTES_MAX} bytes in one offer, not ${total}`)
  }
  const inParts = Math.ceil(total / FRAME_PAYLOAD_MAX - 1) * FRAME_PAYLOAD_MAX
  const last = Buffer.allocUnsafe(HEADER_BYTES + total)
  let at = encodeHeader(last, 0, FrameType.offer, total - inParts, descriptors)
  at = last.writeUInt32LE(length, encodeCount(last, at, number))
  at += last.write(json, at)
  for (const piece of bytes) {
    last.set(piece, at)
    at += piece.length
  }
  return inParts === 0 ? { parts: [], last } : cut(last, inParts)
}

function jsonOf(head: OfferHead): string {
  try {
    const { message } = head
    if (typeof message === 'function' || typeof message === 'symbol') throw new TypeError(`${shown(message)} is none`)
    return JSON.stringify(head)
  } catch (cause) {
    throw new TypeError(`message: any JSON: ${(cause as Error).message}`, { cause })
  }
}

/** All but the end of a payload that is larger than a frame goes ahead in parts. */
function cut(whole: Buffer, inParts: number): { parts: Buffer[]; last: Buffer } {
  const parts: Buffer[] = []
  for (let start = 0; start < inParts; start += FRAME_PAYLOAD_MAX) {
    const from = HEADER_BYTES + start
    parts.push(encodeFrame(FrameType.part, whole.subarray(from, from + FRAME_PAYLOAD_MAX)))
  }
  whole.copyWithin(inParts, 0, HEADER_BYTES)
  return { parts, last: whole.subarray(inParts) }
}

/** An offer as it arrived. `bytes` is a copy of its own. */
export interface DecodedOffer {
  readonly number: number
  readonly head: OfferHead
  readonly bytes: Buffer
  /** Bytes of its payload. */
  readonly size: number
}

/**
 * Reads a whole payload. Copies what it keeps.
 * @param descriptors  how many the frame announces: the things must announce as many
 * @throws {HandoverError} ERR_HANDOVER_BAD_FRAME
 */
export function decodeOffer(payload: Buffer, descriptors: number): DecodedOffer {
  if (payload.length < PREFIX_BYTES) throw badFrame(`an offer of ${payload.length} bytes`)
  const length = payload.readUInt32LE(8)
  if (length > payload.length - PREFIX_BYTES)
    throw badFrame(`an offer's JSON of ${length} bytes is longer than the offer`)
  const head = parseHead(payload.toString('utf8', PREFIX_BYTES, PREFIX_BYTES + length))
  const bytes = payload.length === PREFIX_BYTES + length ? EMPTY : Buffer.from(payload.subarray(PREFIX_BYTES + length))
  const ids = head.things.reduce((sum, thing) => sum + thing.ids.length, 0)
  if (ids !== descriptors) throw badFrame(`an offer announces ${ids} descriptors and carries ${descriptors}`)
  const own = head.things.reduce((sum, thing) => sum + (thing.bytes ?? 0), 0)
  if (own !== bytes.length) throw badFrame(`an offer announces ${own} bytes of its things and carries ${bytes.length}`)
  return { number: decodeCount(payload, 0), head, bytes, size: payload.length }
}

function parseHead(text: string): OfferHead {
  let head: Partial<OfferHead> | null
  try {
    head = JSON.parse(text) as Partial<OfferHead> | null
  } catch (cause) {
    throw badFrame('the head of an offer is not JSON', cause)
  }
  const things = head?.things
  if (!Array.isArray(things)) throw badFrame('an offer without a list of things')
  for (const thing of things as (Partial<AnnouncedThing> | null)[]) {
    const { kind, ids, bytes = 0 } = thing ?? {}
    const shaped =
      typeof kind === 'string' &&
      Array.isArray(ids) &&
      ids.every((id) => typeof id === 'string') &&
      Number.isSafeInteger(bytes) &&
      bytes >= 0
    if (!shaped) throw badFrame(`a thing of an offer is announced as ${shown(JSON.stringify(thing))}`)
  }
  return head as OfferHead
}

/** A verdict: `offer u64 | outcome u8 | reason`. A reason that would not fit is cut, between two characters. */
export function encodeVerdict(number: number, outcome: Outcome, reason = ''): Buffer {
  const text = Buffer.from(reason.slice(0, REASON_CHARACTERS_MAX)) // half a pair of surrogates becomes a mark of its own
  const payload = Buffer.allocUnsafe(9 + text.length)
  payload[encodeCount(payload, 0, number)] = outcome
  payload.set(text, 9)
  return encodeFrame(FrameType.verdict, payload)
}

export interface Verdict {
  readonly number: number
  readonly outcome: Outcome
  readonly reason: string
}

/** @throws {HandoverError} ERR_HANDOVER_BAD_FRAME */
export function decodeVerdict(buffer: Buffer, offset: number, length: number): Verdict {
  if (length < 9) throw badFrame(`a verdict of ${length} bytes`)
  const outcome = buffer[offset + 8] as number
  if (outcome > Outcome.returned) throw badFrame(`a verdict of kind ${outcome}`)
  return {
    number: decodeCount(buffer, offset),
    outcome: outcome as Outcome,
    reason: buffer.toString('utf8', offset + 9, offset + length),
  }
}

/** A withdrawal: `offer u64`. */
export function encodeWithdrawal(number: number): Buffer {
  const payload = Buffer.allocUnsafe(8)
  encodeCount(payload, 0, number)
  return encodeFrame(FrameType.withdraw, payload)
}
