/** Datagrams to the socket of a service manager, in order. No descriptor stays open between them. */
import { HandoverError, SyscallError } from '../errors.js'
import { onAbort, reasonOf } from '../sendmsg/abort.js'
import { rights } from '../sendmsg/codecs-socket.js'
import { type Descriptor, dup } from '../sendmsg/descriptor.js'
import { writable } from '../sendmsg/readiness.js'
import { sendmsg } from '../sendmsg/send.js'
import type { DescriptorLike } from '../sendmsg/socket-argument.js'
import { connect, socket } from '../sendmsg/sockets.js'
import { AF_UNIX, SOCK_DGRAM } from '../syscalls/constants.js'

/** Datagrams that may wait for a receiver that does not read. */
const WAITING_MAX = 256

const closeAll = (descriptors: readonly Descriptor[]): void => {
  for (const descriptor of descriptors) descriptor.close()
}

export class NotifySocket {
  readonly #path: string
  /** Settles after the last datagram that has to wait; null when none does. Never rejected. */
  #last: Promise<void> | null = null
  #waiting = 0

  /** @param path  a path, or an abstract name that starts with a zero byte */
  constructor(path: string) {
    this.#path = path
  }

  /**
   * Sends one datagram: before it returns, unless the receiver's queue is full or others wait already. Borrows the
   * descriptors until it returns; of those that have to wait it has copies.
   * @param signal  ends the waiting; an aborted datagram is not sent
   * @throws {SyscallError} with the path as `address`
   * @throws {HandoverError} ERR_HANDOVER_OUTBOX_FULL: 256 wait already
   */
  async send(bytes: Buffer, descriptors: readonly DescriptorLike[], signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw reasonOf(signal)
    if (this.#last === null && this.#sendAtOnce(bytes, descriptors)) return
    if (this.#waiting >= WAITING_MAX) {
      const message = `${WAITING_MAX} notifications wait for a service manager that does not read them`
      throw new HandoverError('ERR_HANDOVER_OUTBOX_FULL', message)
    }
    const copies = copiesOf(descriptors)
    this.#waiting++
    const before = this.#last ?? Promise.resolve()
    const turn = before.then(() => this.#sendWhenTaken(bytes, copies, signal)).finally(() => closeAll(copies))
    const last = turn
      .catch(() => {}) // told to whoever sends it
      .then(() => {
        this.#waiting--
        if (this.#last === last) this.#last = null
      })
    this.#last = last
    if (signal === undefined) return turn
    await new Promise<void>((resolve, reject) => {
      const forget = onAbort(signal, reject)
      turn.then(resolve, reject).finally(forget)
    })
  }

  #sendAtOnce(bytes: Buffer, descriptors: readonly DescriptorLike[]): boolean {
    const made = this.#connected()
    try {
      return this.#attempt(made, bytes, descriptors)
    } finally {
      made.close()
    }
  }

  async #sendWhenTaken(bytes: Buffer, descriptors: readonly Descriptor[], signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return
    const made = this.#connected()
    try {
      while (!this.#attempt(made, bytes, descriptors)) await writable(made, { signal })
    } finally {
      made.close()
    }
  }

  /** Only a connected socket can be waited for: it is writable when the receiver has room. */
  #connected(): Descriptor {
    const made = socket(AF_UNIX, SOCK_DGRAM)
    try {
      connect(made, { path: this.#path })
      return made
    } catch (error) {
      made.close()
      throw error
    }
  }

  /** @returns whether it was taken: a datagram is taken whole */
  #attempt(made: Descriptor, bytes: Buffer, descriptors: readonly DescriptorLike[]): boolean {
    try {
      return sendmsg(made, bytes, descriptors.length > 0 ? [rights(descriptors)] : undefined) !== null
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error
      throw new SyscallError(error.errno, error.syscall, { address: this.#path.replace(/^\0/, '@') })
    }
  }
}

function copiesOf(descriptors: readonly DescriptorLike[]): Descriptor[] {
  const copies: Descriptor[] = []
  try {
    for (const descriptor of descriptors) copies.push(dup(descriptor))
    return copies
  } catch (error) {
    closeAll(copies)
    throw error
  }
}
