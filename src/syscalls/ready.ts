import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'

/** Events of a {@link ReadyQueue}; the end of a connection or an error counts as all of them. */
export const READY = { readable: 1, writable: 2, urgent: 4 } as const

/** Asked for with others: they are reported each time more comes, until the descriptor is disarmed. */
export const EVERY_TIME = 8

/** Numbers of one batch: descriptor and events. */
const ROW = 2
const BATCH = 64

/**
 * Tells which of many descriptors are ready, once each time they are armed. Its own descriptor is readable then. Borrows
 * what it is told of: one that is closed is forgotten by the kernel, unless a copy of it lives elsewhere.
 * @see epoll(7), kqueue(2)
 */
export class ReadyQueue {
  readonly descriptor: number
  readonly #rows = new Int32Array(ROW * BATCH)

  /** @throws {SyscallError} EMFILE, ENFILE */
  constructor() {
    this.descriptor = checked(kernel.readyOpen(), 'epoll_create1')
  }

  /**
   * Reports these events of a descriptor, in place of what was asked for before: once, or with EVERY_TIME each time more
   * comes, which leaves out what is there already once it was reported. None: nothing any more.
   * @throws {SyscallError} EBADF, EPERM (a regular file: always ready), ENOMEM, ENOSPC
   */
  arm(descriptor: number, events: number, called: Called = this.arm): void {
    checked(kernel.readyArm(this.descriptor, descriptor, events), 'poll', undefined, called)
  }

  /** The same for a descriptor that may be closed already. */
  disarm(descriptor: number): void {
    kernel.readyArm(this.descriptor, descriptor, 0)
  }

  /** Calls `ready` for each that is ready now. */
  take(ready: (descriptor: number, events: number) => void): void {
    const count = checked(kernel.readyTake(this.descriptor, this.#rows), 'epoll_wait')
    // What `ready` starts may come back here: the rows are read first.
    const rows = this.#rows.slice(0, ROW * count)
    for (let i = 0; i < rows.length; i += ROW) ready(rows[i] as number, rows[i + 1] as number)
  }
}
