import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'

/**
 * A descriptor of a process: unlike the pid, it never stands for another one. Readable once the process has ended.
 * Gives it, close-on-exec.
 * @throws {SyscallError} ESRCH: there is no such process; EINVAL: the number is a thread's; EMFILE; ENOSYS: no Linux 5.3
 * @see pidfd_open(2)
 */
export function pidfdOpen(pid: number, called: Called = pidfdOpen): number {
  return checked(kernel.pidfdOpen(pid), 'pidfd_open', undefined, called)
}

/**
 * Takes a copy of what another process has open under a number. Borrows the pidfd, gives the copy, close-on-exec; the
 * process keeps its own and is not told.
 * @throws {SyscallError} EPERM: the system forbids it; EBADF: it has no such descriptor, or the pidfd is none; ESRCH: it
 *   has ended; EMFILE; ENOSYS: no Linux 5.6
 * @see pidfd_getfd(2), ptrace(2) on PTRACE_MODE_ATTACH_REALCREDS
 */
export function pidfdGetfd(pidfd: number, number: number, called: Called = pidfdGetfd): number {
  return checked(kernel.pidfdGetfd(pidfd, number), 'pidfd_getfd', undefined, called)
}
