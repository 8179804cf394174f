/** What other processes have open. */
import { shown, wholeNumber } from '../arguments.js'
import { HandoverError } from '../errors.js'
import { Descriptor } from '../sendmsg/descriptor.js'
import { close } from '../syscalls/descriptor.js'
import { identify, sameIdentity } from '../syscalls/identity.js'
import { pidfdGetfd, pidfdOpen } from '../syscalls/pidfd.js'

/** A copy of another process's descriptor, close-on-exec. Gives it. @throws {SyscallError} as {@link takeDescriptor} */
export function copyOf(pid: number, number: number): number {
  const process = pidfdOpen(pid)
  try {
    return pidfdGetfd(process, number)
  } finally {
    close(process)
  }
}

export interface TakeDescriptorOptions {
  /**
   * What must be found there, as `identify` told it in the other process. Pids and descriptor numbers are used again:
   * without it, who knows what is behind them by now.
   */
  identity?: string
}

/**
 * Takes a copy of a descriptor out of another process, which is neither asked nor told, and keeps its own (Linux 5.6).
 * Gives it, close-on-exec.
 * @param pid     the process
 * @param number  the descriptor's number there
 * @throws {SyscallError} EPERM: the system forbids it: it needs the same user and kernel.yama.ptrace_scope 0, or a parent
 *   of that process, or CAP_SYS_PTRACE; ESRCH: no such process; EBADF: it has no such descriptor; ENOSYS: not on this
 *   system
 * @throws {HandoverError} ERR_HANDOVER_IDENTITY: something else is behind the number; it was closed
 * @throws {TypeError | RangeError} a wrong argument
 * @see pidfd_open(2), pidfd_getfd(2)
 */
export function takeDescriptor(pid: number, number: number, options: TakeDescriptorOptions = {}): Descriptor {
  wholeNumber('pid', pid, 1, 0x7fffffff)
  wholeNumber('number', number, 0, 0x7fffffff)
  const { identity } = options
  if (identity !== undefined && typeof identity !== 'string') {
    throw new TypeError(`identity: a text as identify() gives it, not ${shown(identity)}`)
  }
  const copy = copyOf(pid, number)
  const found = identify(copy)
  if (identity === undefined || sameIdentity(identity, found)) return new Descriptor(copy)
  close(copy)
  throw new HandoverError(
    'ERR_HANDOVER_IDENTITY',
    `descriptor ${number} of process ${pid}: expected was "${identity}", "${found}" was found`,
  )
}
