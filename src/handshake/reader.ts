/** Reads numbers and vectors one after the other; past the end it reads zeros and remembers it, so that nothing throws. */
export class Reader {
  #at = 0
  #overrun = false

  /** Borrows the bytes. */
  constructor(readonly bytes: Buffer) {}

  /** Something was read that is not there. */
  get overrun(): boolean {
    return this.#overrun
  }

  get left(): number {
    return this.bytes.length - this.#at
  }

  /** A number of `width` bytes, the highest first. */
  number(width: 1 | 2 | 3): number {
    const bytes = this.take(width)
    return bytes.length < width ? 0 : bytes.readUIntBE(0, width)
  }

  /** A view of the next bytes; of fewer, if there are not so many. */
  take(length: number): Buffer {
    if (length > this.left) this.#overrun = true
    const taken = this.bytes.subarray(this.#at, this.#at + length)
    this.#at += taken.length
    return taken
  }

  /** A vector as TLS writes it: its length in `width` bytes, then so many bytes. */
  vector(width: 1 | 2): Buffer {
    return this.take(this.number(width))
  }
}
