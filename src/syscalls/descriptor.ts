import { errnoOf } from '../errors.js'
import { identify } from './identity.js'
import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'

/**
 * Closes a descriptor. Takes it.
 * @throws {SyscallError} EBADF: it was not open, which is a bug of the caller
 * @see close(2)
 */
export function close(descriptor: number, called: Called = close): void {
  checked(kernel.close(descriptor), 'close', undefined, called)
}

/**
 * Closes `count` descriptors from `first` on in one native call. Takes all of them, whatever happens to one.
 * @throws {SyscallError} EBADF: one was not open; the others are closed
 * @see close(2)
 */
export function closeMany(
  descriptors: Int32Array,
  first = 0,
  count = descriptors.length - first,
  called: Called = closeMany,
): void {
  checked(kernel.closeMany(descriptors, first, count), 'close', undefined, called)
}

/**
 * Duplicates a descriptor; the copy is close-on-exec. Borrows the first, gives the second.
 * @throws {SyscallError} EBADF, EMFILE
 * @see fcntl(2), F_DUPFD_CLOEXEC
 */
export function dup(descriptor: number, called: Called = dup): number {
  return checked(kernel.dup(descriptor), 'fcntl', undefined, called)
}

/**
 * Makes an inherited descriptor close-on-exec and non-blocking. Borrows it.
 * @throws {SyscallError} EBADF
 * @see fcntl(2)
 */
export function setCloseOnExec(descriptor: number): void {
  checked(kernel.setCloseOnExec(descriptor), 'fcntl', undefined, setCloseOnExec)
}

/** The system has no such call, or a sandbox keeps it from us. */
const CANNOT_TELL: ReadonlySet<number> = new Set([errnoOf('ENOSYS'), errnoOf('EPERM'), errnoOf('EACCES')])

/**
 * Whether two descriptors are copies of one. Borrows both. Where the system does not tell, it is whether they lead to
 * the same file: two that were opened apart look the same then, and so do all eventfds.
 * @throws {SyscallError} EBADF
 * @see kcmp(2), KCMP_FILE
 */
export function sameFile(one: number, other: number): boolean {
  const order = kernel.kcmp(one, other)
  if (!CANNOT_TELL.has(order)) return checked(order, 'kcmp', undefined, sameFile) === 0
  return identify(one, sameFile) === identify(other, sameFile)
}
