import { FRAME_PAYLOAD_MAX, OFFER_BYTES_MAX } from '../limits.js'
import { badFrame } from '../wire/frame.js'

/** The beginning of an offer that is larger than a frame, until its last frame comes. */
export class Parts {
  #pieces: Buffer[] = []
  #bytes = 0

  get isEmpty(): boolean {
    return this.#bytes === 0
  }

  /** Copies a piece. @throws {HandoverError} ERR_HANDOVER_BAD_FRAME: the offer is over its limit */
  add(piece: Buffer): void {
    this.#bytes += piece.length
    if (this.#bytes > OFFER_BYTES_MAX || piece.length < FRAME_PAYLOAD_MAX) {
      throw badFrame(`a part of ${piece.length} bytes in an offer of ${this.#bytes} and more`)
    }
    this.#pieces.push(Buffer.from(piece))
  }

  /** The whole payload, and nothing is left. Where there were no parts it is the piece itself. */
  join(last: Buffer): Buffer {
    if (this.#bytes === 0) return last
    if (this.#bytes + last.length > OFFER_BYTES_MAX) throw badFrame(`an offer of ${this.#bytes + last.length} bytes`)
    const whole = Buffer.concat([...this.#pieces, last])
    this.#pieces = []
    this.#bytes = 0
    return whole
  }
}
