import { shown } from '../arguments.js'
import type { Credentials } from '../syscalls/credentials.js'

/** Who is let in: everybody of these users or groups. */
export interface AdmissionRules {
  readonly uids?: readonly number[]
  readonly gids?: readonly number[]
  readonly pids?: readonly number[]
}

/**
 * Who is let in: rules, of which one must hold, or a function that answers yes, no, or why not. What it throws refuses.
 */
export type Admission = AdmissionRules | ((peer: Credentials) => boolean | string)

/**
 * Why somebody is not let in; null who is. `undefined` as admission: the same user as this process.
 * @param trusted  users that are let in besides, unless there is an admission
 */
export function stranger(
  peer: Credentials,
  admission: Admission | undefined,
  trusted: readonly number[],
): string | null {
  if (typeof admission === 'function') return answered(peer, admission)
  const { uids = [], gids = [], pids = [] } = admission ?? { uids: [process.geteuid?.() ?? -1, ...trusted] }
  if (uids.includes(peer.uid) || gids.includes(peer.gid) || pids.includes(peer.pid)) return null
  return `process ${peer.pid} of user ${peer.uid}, group ${peer.gid}, is not let in`
}

function answered(peer: Credentials, admission: (peer: Credentials) => boolean | string): string | null {
  try {
    const answer = admission(peer)
    if (answer === true) return null
    return typeof answer === 'string' ? answer : `process ${peer.pid} of user ${peer.uid} is not let in`
  } catch (error) {
    return `the admission failed: ${error instanceof Error ? error.message : String(error)}`
  }
}

const isPlain = (value: object): boolean => [Object.prototype, null].includes(Object.getPrototypeOf(value))

/** @throws {TypeError} it is no admission */
export function checkAdmission(admission: unknown): void {
  if (admission === undefined || typeof admission === 'function') return
  if (typeof admission !== 'object' || admission === null || !isPlain(admission)) {
    throw new TypeError(`admit: a function, or { uids, gids, pids }, not ${shown(admission)}`)
  }
  for (const [name, list] of Object.entries(admission)) {
    const known = ['uids', 'gids', 'pids'].includes(name)
    if (!known) throw new TypeError(`admit.${name}: there are uids, gids and pids`)
    if (!Array.isArray(list) || !list.every((id) => Number.isInteger(id))) {
      throw new TypeError(`admit.${name}: a list of numbers, not ${shown(list)}`)
    }
  }
}
