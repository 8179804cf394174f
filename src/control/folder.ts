/** Where control sockets are: a folder that nobody else can put anything into. */
import { accessSync, constants, lstatSync, mkdirSync, readdirSync, type Stats } from 'node:fs'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { HandoverError } from '../errors.js'
import { CONTROL_ENTRIES_MAX } from '../limits.js'

const ENDING = '.sock'

type Environment = Readonly<Record<string, string | undefined>>

/** @throws {HandoverError} ERR_HANDOVER_CONTROL */
function refused(message: string, cause?: unknown): never {
  const instead = 'name a path of yours with --control <path>, or do without: --no-control'
  throw new HandoverError('ERR_HANDOVER_CONTROL', `no control socket: ${message}; ${instead}`, { cause })
}

const user = (): number => process.geteuid?.() ?? -1

/**
 * Every folder that control sockets of this user may be in, the one for new ones first: HANDOVER_CONTROL_DIR alone if it
 * is set; else below XDG_RUNTIME_DIR, root's /run/handover, /tmp/handover-UID.
 */
export function controlFolders(env: Environment = process.env): string[] {
  const { HANDOVER_CONTROL_DIR: own, XDG_RUNTIME_DIR: runtime } = env
  if (own !== undefined && own !== '') return [own]
  const uid = user()
  const folders: string[] = []
  // One of somebody else's is left over from `su` or `sudo`; one that is not absolute counts for nothing by its definition.
  if (runtime !== undefined && isAbsolute(runtime) && statsOf(runtime)?.uid === uid) {
    folders.push(join(runtime, 'handover'))
  }
  if (uid === 0 && writable('/run')) folders.push('/run/handover')
  folders.push(`/tmp/handover-${uid}`)
  return folders
}

/** The folder for new control sockets, made if it is not there. @throws {HandoverError} ERR_HANDOVER_CONTROL */
export function openFolder(env: Environment = process.env): string {
  const folder = controlFolders(env)[0] as string
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && statsOf(dirname(folder)) === null) refused(`there is no folder ${dirname(folder)}`, error)
    if (code !== 'EEXIST') refused(`the folder ${folder} cannot be made (${code})`, error)
  }
  const why = unfit(folder)
  if (why !== null) refused(why)
  return folder
}

/** Why a folder that is there is not for new sockets; null: it is, or there is none. */
export function unfitFolder(folder: string): string | null {
  return statsOf(folder) === null ? null : unfit(folder)
}

function unfit(folder: string): string | null {
  return distrusted(folder) ?? (writable(folder) ? null : `the folder ${folder} is not writable`)
}

/** Why sockets in a folder are not to be trusted; null: they are. */
function distrusted(folder: string): string | null {
  const stats = statsOf(folder)
  if (stats === null) return `there is no folder ${folder}`
  if (!stats.isDirectory()) return `${folder} is no folder`
  if (stats.uid !== user()) return `the folder ${folder} belongs to user ${stats.uid}`
  // Others may see names, if the operator lets them; who could write would put sockets of their own there.
  if ((stats.mode & 0o022) !== 0) return `others may write to the folder ${folder} (chmod 700 helps)`
  return null
}

function statsOf(path: string): Stats | null {
  try {
    return lstatSync(path)
  } catch {
    return null
  }
}

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** The socket of a name in a folder. */
export const socketIn = (folder: string, name: string): string => join(folder, name + ENDING)

/** Whether a socket of that name would be called so. */
export const isSocketOf = (path: string, name: string): boolean => basename(path) === name + ENDING

/** What lies in the folders that can be trusted: names and paths, of the living and the dead. */
export function socketsIn(folders: readonly string[]): { name: string; path: string }[] {
  const found: { name: string; path: string }[] = []
  for (const folder of folders) {
    if (distrusted(folder) !== null) continue
    const entries = readdirSync(folder).filter((entry) => entry.endsWith(ENDING))
    for (const entry of entries.sort().slice(0, CONTROL_ENTRIES_MAX)) {
      found.push({ name: entry.slice(0, -ENDING.length), path: join(folder, entry) })
    }
  }
  return found
}
