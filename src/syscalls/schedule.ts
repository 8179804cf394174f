import { kernel } from './kernel.js'

let batch = false

/**
 * Lets the kernel run this thread as a batch job (Linux): woken, it waits for its turn instead of interrupting whoever
 * runs, so that it finds more work at a time. Its share of the processor stays the same. Does nothing where the
 * system has no such thing or forbids it.
 * @see sched_setscheduler(2), SCHED_BATCH
 */
export function scheduleAsBatch(): void {
  batch = kernel.schedule(1) === 0
}

/** Runs `start`, which makes a process or thread, in such a way that what it makes is scheduled as usual. */
export function scheduledAsUsual<Result>(start: () => Result): Result {
  if (!batch) return start()
  kernel.schedule(0)
  try {
    return start()
  } finally {
    kernel.schedule(1)
  }
}
