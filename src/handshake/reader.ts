/**
 * Reads numbers and vectors one after the other; past the end it reads zeros and remembers it, so that nothing throws.
 * What is read in parts is read in place: views of a Buffer would cost more than what is read.
 */
export class Reader {
  readonly #bytes: Buffer
  readonly #end: number
  #at: number
  #overrun = false

  /** Borrows the bytes from `start` until `end`. */
  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  /** Something was read that is not there. */
  get overrun(): boolean {
    return this.#overrun
  }

  get left(): number {
    return this.#end - this.#at
  }

  /** A number of `width` bytes, the highest first. */
  number(width: 1 | 2): number {
    const at = this.#pass(width)
    if (this.#at - at < width) return 0
    const bytes = this.#bytes
    const high = bytes[at] as number
    return width === 1 ? high : high * 256 + (bytes[at + 1] as number)
  }

  skip(length: number): void {
    this.#pass(length)
  }

  /** A vector as TLS writes it: its length in `width` bytes, then so many bytes. A shorter one, if there are fewer. */
  vector(width: 1 | 2): Reader {
    const at = this.#pass(this.number(width))
    return new Reader(this.#bytes, at, this.#at)
  }

  /** All that is left, one character a byte. It stays there. */
  text(): string {
    return this.#bytes.toString('latin1', this.#at, this.#end)
  }

  /** @returns where the next `length` bytes are, or fewer, if there are not so many */
  #pass(length: number): number {
    const at = this.#at
    if (length > this.#end - at) this.#overrun = true
    this.#at = Math.min(at + length, this.#end)
    return at
  }
}
