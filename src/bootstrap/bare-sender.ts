/** One sender of bytes and descriptors without a protocol. */
import { errnoOf, SyscallError } from '../errors.js'
import { DESCRIPTORS_PER_MESSAGE_MAX, RECEIVE_DEFAULT } from '../limits.js'
import { CMSG_SPACE } from '../sendmsg/ancillary.js'
import { closeDescriptors, type Descriptor, takeDescriptors } from '../sendmsg/descriptor.js'
import { recvmsg } from '../sendmsg/receive.js'
import { MSG_CTRUNC, MSG_TRUNC, SCM_RIGHTS, SO_TYPE, SOCK_DGRAM, SOL_SOCKET } from '../syscalls/constants.js'
import type { Credentials } from '../syscalls/credentials.js'
import { close } from '../syscalls/descriptor.js'
import { getsockoptInt } from '../syscalls/sockopt.js'
import { READABLE, Watcher } from '../syscalls/watch.js'

/** Room for as many descriptors as there can be, and for what else a socket may have been asked to tell. */
const ANCILLARY = CMSG_SPACE(4 * DESCRIPTORS_PER_MESSAGE_MAX) + 1024

/** What a sender tells its receiver of. */
export interface BareSenderHandlers {
  /** Gives the descriptors. */
  arrived(sender: BareSender, bytes: Buffer, owned: Descriptor[]): void
  /** A message did not come whole: what came of it is closed. */
  refused(sender: BareSender, error: SyscallError): void
  /** Nothing more comes; null: that is its end. */
  ended(sender: BareSender, error: Error | null): void
}

/**
 * Reads one message in a turn of the event loop, so that neither a busy sender nor a chain of promises holds it, and none
 * while it is not `reading`. Owns its socket.
 */
export class BareSender {
  readonly peer: Credentials
  readonly #socket: number
  readonly #handlers: BareSenderHandlers
  readonly #watcher: Watcher
  /** An empty datagram is no end. */
  readonly #endless: boolean
  #closed = false

  /** Takes the socket. @throws {SyscallError} it cannot be watched; it is closed then */
  constructor(socket: number, peer: Credentials, handlers: BareSenderHandlers) {
    this.#socket = socket
    this.peer = peer
    this.#handlers = handlers
    try {
      this.#endless = getsockoptInt(socket, SOL_SOCKET, SO_TYPE) === SOCK_DGRAM
      this.#watcher = new Watcher(socket, () => this.#read())
    } catch (error) {
      close(socket)
      throw error
    }
  }

  set reading(reading: boolean) {
    this.#watcher.watch(reading ? READABLE : 0)
  }

  /** Whether it keeps the process alive while it is reading. It does at first. */
  set referenced(referenced: boolean) {
    this.#watcher.referenced = referenced
  }

  /** Closing twice does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#watcher.close()
    close(this.#socket)
  }

  #read(): void {
    try {
      const message = recvmsg(this.#socket, RECEIVE_DEFAULT, ANCILLARY)
      if (message === null) return
      const { data, ancillary, flags } = message
      if ((flags & (MSG_CTRUNC | MSG_TRUNC)) !== 0) {
        closeDescriptors(ancillary)
        const why = (flags & MSG_CTRUNC) !== 0 ? 'EMFILE' : 'EMSGSIZE'
        return this.#handlers.refused(this, new SyscallError(errnoOf(why), 'recvmsg'))
      }
      const owned = takeDescriptors(ancillary)
      closeDescriptors(ancillary.filter(([level, type]) => level !== SOL_SOCKET || type !== SCM_RIGHTS)) // pidfds
      if (data.length > 0 || owned.length > 0 || this.#endless) this.#handlers.arrived(this, data, owned)
      else this.#handlers.ended(this, null)
    } catch (error) {
      this.#handlers.ended(this, error as Error)
    }
  }
}
