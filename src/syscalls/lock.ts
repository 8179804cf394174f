import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { errnoOf } from '../errors.js'
import { FOLDER_LOCK_WAIT } from '../limits.js'
import { kernel } from './kernel.js'

const HELD = errnoOf('EAGAIN')
const BETWEEN_TRIES = 1
/** Opens without looking inside: needs no permission to read, and gives no lock. Linux; Node has no name for it. */
export const O_PATH = 0o10000000

const nobody = new Int32Array(new SharedArrayBuffer(4))

/** Whether `work` runs alone: `free` where there are no locks, `held` if another has it still. */
export type Locked = 'locked' | 'free' | 'held'

/**
 * Runs `work` with a folder open, if it can be had while no other process runs its own under the lock of this folder.
 * Best effort: whoever may read the folder may lock it, and keep it locked. So nobody is waited for longer than 20 ms
 * (the thread is blocked meanwhile), and `work` runs all the same: it is told how, and must be right either way.
 * @param wait  milliseconds for a lock that other users could hold, too; 0 tries once. What only this user can hold is
 *   waited for in any case
 * @param work  what is done at once: folder and lock are gone when it returns, also if it returns a promise. Gets the
 *   folder's descriptor, borrowed; null: it cannot be opened
 * @returns what `work` returns
 * @see flock(2)
 */
export function lockFolder<Result>(
  path: string,
  wait: number,
  work: (folder: number | null, locked: Locked) => Result,
): Result {
  const folder = opened(path)
  if (folder === null) return work(null, 'free')
  try {
    return work(folder, locked(folder, isPrivate(folder) ? FOLDER_LOCK_WAIT : wait))
  } finally {
    closeSync(folder)
  }
}

/** The descriptor is close-on-exec, as all that Node opens: a child that outlives us would keep the lock. */
function opened(path: string): number | null {
  const ways = process.platform === 'linux' ? [constants.O_RDONLY, O_PATH] : [constants.O_RDONLY]
  for (const way of ways) {
    try {
      return openSync(path, way | constants.O_DIRECTORY)
    } catch {
      // it may be ours to search and to write, and not to read
    }
  }
  return null
}

/** Whether no other user can open it, and lock it. */
function isPrivate(folder: number): boolean {
  const { uid, mode } = fstatSync(folder)
  return uid === process.geteuid?.() && (mode & 0o044) === 0
}

function locked(folder: number, wait: number): Locked {
  const deadline = performance.now() + wait
  for (;;) {
    const done = kernel.lock(folder)
    if (done !== HELD) return done < 0 ? 'free' : 'locked'
    if (performance.now() >= deadline) return 'held'
    Atomics.wait(nobody, 0, 0, BETWEEN_TRIES)
  }
}
