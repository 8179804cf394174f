import { close, dup } from '../syscalls/descriptor.js'

/** Descriptors that travel in place of their owner's own, which he may close at any time. */
export interface Copies {
  readonly descriptors: readonly number[]
  /** Closes them; call it once. */
  close(): void
}

/**
 * Borrows the descriptors and owns a copy of each.
 * @throws {SyscallError} EMFILE, EBADF: no copy is left over
 */
export function copiesOf(...descriptors: number[]): Copies {
  const copies: number[] = []
  const closeAll = (): void => {
    for (const copy of copies.splice(0)) close(copy)
  }
  try {
    for (const descriptor of descriptors) copies.push(dup(descriptor))
  } catch (error) {
    closeAll()
    throw error
  }
  return { descriptors: [...copies], close: closeAll }
}
