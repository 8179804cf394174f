import { ACCEPT_BATCH_MAX, FIRST_LOOK_BYTES, HANDSHAKE_BYTES_MAX } from '../limits.js'
import { peek } from '../syscalls/peek.js'

/** What a look at some connections shows. */
export class Look {
  readonly #descriptors: Int32Array
  readonly #lengths: Int32Array
  readonly #bytes: Buffer
  #size = 0

  /** Room for so many connections, and the most that is seen of each. */
  constructor(rows: number, most: number) {
    this.#descriptors = new Int32Array(rows)
    this.#lengths = new Int32Array(rows)
    this.#bytes = Buffer.allocUnsafeSlow(rows * most)
  }

  /** Reads up to `size` bytes of each, and leaves them there. Borrows the descriptors. */
  at(connections: readonly { readonly descriptor: number }[], size: number): void {
    this.#size = size
    for (let i = 0; i < connections.length; i++) {
      this.#descriptors[i] = (connections[i] as { descriptor: number }).descriptor
    }
    peek(this.#descriptors, connections.length, this.#bytes, size, this.#lengths)
  }

  /** How many bytes came of one; 0 at the end of the stream, or -errno. */
  length(index: number): number {
    return this.#lengths[index] as number
  }

  /** As much came as was asked for: there may be more. */
  isFull(index: number): boolean {
    return this.length(index) === this.#size
  }

  /** The bytes of one that has some, until the next look. */
  bytes(index: number): Buffer {
    return this.#bytes.subarray(index * this.#size, index * this.#size + this.length(index))
  }
}

/** Lends what looks are made with: mostly the same, and another one to inspections that lead back to where they were asked. */
class Looks {
  readonly #rows: number
  readonly #most: number
  #spare: Look | null = null

  constructor(rows: number, most: number) {
    this.#rows = rows
    this.#most = most
  }

  lend<Result>(use: (look: Look) => Result): Result {
    const look = this.#spare ?? new Look(this.#rows, this.#most)
    this.#spare = null
    try {
      return use(look)
    } finally {
      this.#spare = look
    }
  }
}

/** For the first look at all connections of a batch. */
export const firstLooks = new Looks(ACCEPT_BATCH_MAX, FIRST_LOOK_BYTES)
/** For another look at one. */
export const nextLooks = new Looks(1, HANDSHAKE_BYTES_MAX)
