import { PROCESSORS_MAX } from '../limits.js'
import { kernel } from './kernel.js'
import { checked } from './result.js'

const BITS = 8

/**
 * The processors that this thread may run on, by number, ascending.
 * @throws {SyscallError} ENOSYS: this system has no such thing
 * @see sched_getaffinity(2)
 */
export function allowedProcessors(): number[] {
  const bits = new Uint8Array(PROCESSORS_MAX / BITS)
  checked(kernel.affinity(bits, 0), 'sched_getaffinity')
  return [...bits.keys()].flatMap((at) =>
    [...Array(BITS).keys()].filter((bit) => ((bits[at] as number) & (1 << bit)) !== 0).map((bit) => at * BITS + bit),
  )
}

/**
 * Runs `start`, which makes a process, with this thread on these processors alone: what it makes inherits them.
 * @throws {SyscallError} EINVAL: none of them is there, or allowed
 * @see sched_setaffinity(2)
 */
export function startedOn<Result>(processors: readonly number[], start: () => Result): Result {
  const before = new Uint8Array(PROCESSORS_MAX / BITS)
  checked(kernel.affinity(before, 0), 'sched_getaffinity')
  const wanted = new Uint8Array(PROCESSORS_MAX / BITS)
  for (const number of processors) wanted[number >> 3] = (wanted[number >> 3] as number) | (1 << (number & 7))
  checked(kernel.affinity(wanted, 1), 'sched_setaffinity')
  try {
    return start()
  } finally {
    kernel.affinity(before, 1)
  }
}
