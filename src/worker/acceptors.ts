import { ACCEPT_BATCH_MAX, ACCEPT_RETRY, SELF_ACCEPT_BATCH } from '../limits.js'
import { ListeningPort } from '../transport/listening-port.js'

/** Whose connections they become. */
export interface AcceptorsOwner {
  /** Connections that this worker has. */
  readonly open: number
  /** Gives connections of a port. */
  accepted(port: number, descriptors: Int32Array): void
}

/**
 * The ports from which this worker accepts by itself. The master has each of them, too, and so may other workers: what is
 * not accepted here waits for them.
 */
export class Acceptors {
  /** No more is accepted while this worker has so many connections. */
  most = Number.POSITIVE_INFINITY
  readonly #owner: AcceptorsOwner
  readonly #ports = new Map<number, ListeningPort>()
  #paused = false
  #retry: NodeJS.Timeout | null = null

  constructor(owner: AcceptorsOwner) {
    this.#owner = owner
  }

  /**
   * Accepts from a port from now on. Takes the descriptor. One of the same number was bound to the same path before.
   * @throws {TypeError | SyscallError} it does not listen, or cannot be watched
   */
  open(id: number, descriptor: number): void {
    this.close(id, true)
    const port = ListeningPort.adopt(descriptor)
    port.referenced = false // the channel keeps the process alive, as long as a server does
    this.#ports.set(id, port)
    try {
      if (!this.#paused) this.#watch(id, port)
    } catch (error) {
      this.close(id, false)
      throw error
    }
  }

  /** Accepts no more. @param last  nobody else will: what waits is taken first, as far as there is room */
  close(id: number, last: boolean): void {
    const port = this.#ports.get(id)
    if (port === undefined) return
    port.pause()
    if (last) while (this.#accept(id, port, ACCEPT_BATCH_MAX) > 0);
    this.#ports.delete(id)
    port.close()
  }

  /** Takes what waits at all ports, and accepts no more. */
  closeAll(): void {
    for (const id of [...this.#ports.keys()]) this.close(id, true)
  }

  /** A connection is closed: there may be room for another. */
  roomier(): void {
    if (!this.#paused || this.#retry !== null || this.#owner.open >= this.most) return
    this.#paused = false
    for (const [id, port] of this.#ports) this.#watch(id, port)
  }

  #watch(id: number, port: ListeningPort): void {
    port.watch(() => this.#accept(id, port, SELF_ACCEPT_BATCH))
  }

  /** @returns how many; 0: none waits, there is no room, or no free descriptor */
  #accept(id: number, port: ListeningPort, most: number): number {
    if (this.#ports.get(id) !== port) return 0 // the program closed it when it saw the last
    const count = this.#owner.open >= this.most ? 0 : port.accept(Math.min(most, this.most - this.#owner.open))
    if (count < 0) this.#tryLater()
    else if (count > 0) this.#owner.accepted(id, rows(port, count))
    if (this.#owner.open >= this.most) this.#pause()
    return Math.max(0, count)
  }

  /** Clients wait in the kernel's queue, for others or for room here. */
  #pause(): void {
    this.#paused = true
    for (const port of this.#ports.values()) port.pause()
  }

  /** EMFILE or ENFILE: it would wake the loop again and again. */
  #tryLater(): void {
    this.#pause()
    this.#retry ??= setTimeout(() => {
      this.#retry = null
      this.roomier()
    }, ACCEPT_RETRY).unref()
  }
}

function rows({ batch }: ListeningPort, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, index) => batch.descriptor(index))
}
