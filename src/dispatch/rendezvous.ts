/**
 * Highest-random-weight hashing: every key has its own order of the candidates, the same in every process. Who leaves
 * takes along only the keys that were its own, and who comes takes its share of everybody's.
 */

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193
/** Between key and id, so that ('ab', 'c') and ('a', 'bc') are two. No byte of either. */
const SEPARATOR = 0x100

/**
 * The candidate that is first in the order of `key`, of those that have room.
 * @param candidates  in any order, which does not matter
 * @param room  how much each may take, by the same index; default: enough
 * @returns its index; -1 if none has room
 */
export function rendezvous(
  key: string,
  candidates: readonly { readonly id: string }[],
  room?: ArrayLike<number>,
): number {
  const start = Math.imul(hashText(FNV_OFFSET, key) ^ SEPARATOR, FNV_PRIME)
  let best = -1
  let bestScore = -1
  for (let at = 0; at < candidates.length; at++) {
    if (room !== undefined && (room[at] as number) <= 0) continue
    const { id } = candidates[at] as { id: string }
    const score = mix(hashText(start, id))
    const wins = score > bestScore || (score === bestScore && id < (candidates[best] as { id: string }).id)
    if (!wins) continue
    best = at
    bestScore = score
  }
  return best
}

/** FNV-1a over both bytes of every UTF-16 unit. */
function hashText(hash: number, text: string): number {
  let next = hash
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    next = Math.imul(next ^ (unit & 0xff), FNV_PRIME)
    next = Math.imul(next ^ (unit >> 8), FNV_PRIME)
  }
  return next
}

/** Spreads every bit over all 32: the finaliser of MurmurHash3. */
function mix(hash: number): number {
  let next = hash ^ (hash >>> 16)
  next = Math.imul(next, 0x85ebca6b)
  next = Math.imul(next ^ (next >>> 13), 0xc2b2ae35)
  return (next ^ (next >>> 16)) >>> 0
}
