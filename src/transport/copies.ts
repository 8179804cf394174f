import { close, dup } from '../syscalls/descriptor.js'
import * as closedWithThread from '../syscalls/thread-end.js'

/** Descriptors that travel in place of their owner's own, which he may close at any time. */
export interface Copies {
  readonly descriptors: readonly number[]
  /** Closes them; call it once. */
  close(): void
}

/**
 * Borrows the descriptors and owns a copy of each; what a worker thread still has of them when it ends is closed.
 * @throws {SyscallError} EMFILE, EBADF: no copy is left over
 */
export function copiesOf(...descriptors: number[]): Copies {
  const copies: number[] = []
  const closeAll = (): void => {
    for (const copy of copies.splice(0)) {
      closedWithThread.remove(copy)
      close(copy)
    }
  }
  try {
    for (const descriptor of descriptors) {
      const copy = dup(descriptor)
      copies.push(copy)
      closedWithThread.add(copy)
    }
  } catch (error) {
    closeAll()
    throw error
  }
  return { descriptors: [...copies], close: closeAll }
}
