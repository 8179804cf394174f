import { closeSync, constants, openSync } from 'node:fs'
import { errnoOf } from '../errors.js'
import { FOLDER_LOCK_MAX } from '../limits.js'
import { kernel } from './kernel.js'
import { type Called, checked } from './result.js'

const HELD = errnoOf('EAGAIN')
const BETWEEN_TRIES = 5

const nobody = new Int32Array(new SharedArrayBuffer(4))

/**
 * Runs `work` while no other process runs its own under the lock of this folder. Blocks the thread for up to a second
 * while another has it. Best effort: where the folder cannot be opened, or its file system has no locks, `work` runs
 * all the same.
 * @param work  what is done at once: the lock is gone when it returns, also if it returns a promise
 * @returns what `work` returns
 * @throws {SyscallError} EAGAIN: another has it for more than a second; whatever `work` throws
 * @see flock(2)
 */
export function lockFolder<Result>(path: string, work: () => Result, called: Called = lockFolder): Result {
  const folder = opened(path)
  if (folder === null) return work()
  try {
    if (!locked(folder)) checked(HELD, 'flock', { address: path }, called)
    return work()
  } finally {
    closeSync(folder)
  }
}

/** The descriptor is close-on-exec, as all that Node opens: a child that outlives us would keep the lock. */
function opened(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch {
    return null
  }
}

/** False: another has it still. */
function locked(folder: number): boolean {
  const deadline = performance.now() + FOLDER_LOCK_MAX
  while (kernel.lock(folder) === HELD) {
    if (performance.now() >= deadline) return false
    Atomics.wait(nobody, 0, 0, BETWEEN_TRIES)
  }
  return true
}
