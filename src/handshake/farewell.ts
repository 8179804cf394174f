import { FAREWELL_BYTES_MAX, FAREWELL_TIME, FAREWELLS_MAX } from '../limits.js'
import { SHUT_WR } from '../syscalls/constants.js'
import { close } from '../syscalls/descriptor.js'
import { recvmsg, sendmsg, WOULD_BLOCK } from '../syscalls/message.js'
import { shutdown } from '../syscalls/socket.js'

interface Leaving {
  readonly since: number
  bytes: number
}

const scratch = Buffer.allocUnsafeSlow(16 * 1024)

/**
 * Clients that are turned away with words. To close a socket while something of the client's is unread resets the
 * connection, which may take the words from the client before it has read them: so its bytes are read and thrown
 * away until it closes, too, or has had its time. Owns their descriptors.
 */
export class Farewells {
  readonly #leaving = new Map<number, Leaving>()
  readonly #watch: (descriptor: number) => void
  readonly #unwatch: (descriptor: number) => void

  /** @param watch  tells `heard` each time more comes of a descriptor, or throws. @param unwatch  before the descriptor is closed */
  constructor(watch: (descriptor: number) => void, unwatch: (descriptor: number) => void) {
    this.#watch = watch
    this.#unwatch = unwatch
  }

  get count(): number {
    return this.#leaving.size
  }

  /** When the oldest has had its time, as performance.now() tells; Infinity: there is none. */
  get deadline(): number {
    for (const { since } of this.#leaving.values()) return since + FAREWELL_TIME
    return Number.POSITIVE_INFINITY
  }

  has(descriptor: number): boolean {
    return this.#leaving.has(descriptor)
  }

  /** Says something and closes the connection, at once or a little later. Takes the descriptor. What does not fit is not said. */
  say(descriptor: number, words: Uint8Array): void {
    if (sendmsg(descriptor, words, 0, 0, 0) < 0) return close(descriptor)
    try {
      shutdown(descriptor, SHUT_WR)
    } catch {
      return close(descriptor) // the client has gone
    }
    const leaving = { since: performance.now(), bytes: 0 }
    if (this.#isOver(descriptor, leaving)) return close(descriptor)
    if (this.#leaving.size >= FAREWELLS_MAX) this.#endOldest()
    try {
      this.#watch(descriptor)
    } catch {
      return close(descriptor) // the kernel cannot watch one more: the words are on their way
    }
    this.#leaving.set(descriptor, leaving)
  }

  /** More has come of one. */
  heard(descriptor: number): void {
    const leaving = this.#leaving.get(descriptor)
    if (leaving !== undefined && this.#isOver(descriptor, leaving)) this.#end(descriptor)
  }

  /** Closes those that have had their time. */
  expire(now: number): void {
    for (const [descriptor, leaving] of this.#leaving) {
      if (now < leaving.since + FAREWELL_TIME) return
      this.#isOver(descriptor, leaving) // it may have spoken while this process stood still
      this.#end(descriptor)
    }
  }

  close(): void {
    for (const descriptor of [...this.#leaving.keys()]) this.#end(descriptor)
  }

  /** Reads what is there and throws it away. */
  #isOver(descriptor: number, leaving: Leaving): boolean {
    while (leaving.bytes < FAREWELL_BYTES_MAX) {
      const count = recvmsg(descriptor, scratch, 0, 0)
      if (count <= 0) return count !== WOULD_BLOCK
      leaving.bytes += count
    }
    return true
  }

  #endOldest(): void {
    for (const descriptor of this.#leaving.keys()) return this.#end(descriptor)
  }

  #end(descriptor: number): void {
    this.#leaving.delete(descriptor)
    this.#unwatch(descriptor)
    close(descriptor)
  }
}
