/** Folders that files are to be made in: whether they can be, and making them. */
import { accessSync, constants, mkdirSync, type Stats, statfsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** The first folder there is on the way up from a path, and what is in the way of making something in it. */
export interface Ground {
  readonly path: string
  /** In words; null: nothing is. */
  readonly fault: string | null
}

/** @see statfs(2): PROC_SUPER_MAGIC */
const PROC = 0x9fa0

/** Where a folder is, or would be made. Makes nothing. */
export function groundOf(folder: string): Ground {
  let path = resolve(folder)
  let found = stats(path)
  while (found === null && dirname(path) !== path) {
    path = dirname(path)
    found = stats(path)
  }
  if (found === null) return { path, fault: `there is no ${path}` }
  if (!found.isDirectory()) return { path, fault: `${path} is no folder` }
  try {
    accessSync(path, constants.W_OK | constants.X_OK)
    // Root may write anywhere, and still there is no room for files.
    return { path, fault: statfsSync(path).type === PROC ? `no file can be made in ${path}` : null }
  } catch {
    return { path, fault: `${path} cannot be written to by this user` }
  }
}

/** Null: it is not there, or below what is no folder, or hidden: what is above it says which. */
function stats(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}

/**
 * Makes a folder, and those above it that are missing, one after the other: Node's `recursive` never returns where the
 * system has no room for folders, as in /proc.
 * @throws {Error} in one line: what is in the way
 */
export function makeFolder(folder: string, mode: number): void {
  const { path: ground, fault } = groundOf(folder)
  if (fault !== null) throw new Error(fault)
  const missing: string[] = []
  for (let path = resolve(folder); path !== ground; path = dirname(path)) missing.unshift(path)
  for (const path of missing) {
    try {
      mkdirSync(path, { mode })
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') continue // another command was first
      throw Object.assign(new Error(`no folder can be made in ${dirname(path)} (${code})`, { cause: error }), { code })
    }
  }
}
