/**
 * Memory to receive into. Nobody knows beforehand how long a message is: large room is kept from one receive to the
 * next, and short messages are copied out of it, so that they cost what they are long.
 */

/** Room up to this many bytes comes from Buffer's pool and is given away as it is. */
const POOLED_MAX = 1024
/** Larger room than this is not kept. */
const KEPT_MAX = 1024 * 1024

const NONE = Buffer.alloc(0)
let spare = NONE
/** The part of `spare` that was lent last, known by identity: to look at `buffer` costs more than all else here. */
let lent = NONE

/**
 * Room for `size` bytes, until the next call.
 * @param zeroed  the kernel may say that it received bytes and not write them: what was there before must not show
 */
export function roomFor(size: number, zeroed: boolean): Buffer {
  if (zeroed) return Buffer.alloc(size)
  if (size <= POOLED_MAX) return Buffer.allocUnsafe(size)
  if (lent.length === size) return lent
  if (size > KEPT_MAX) return Buffer.allocUnsafeSlow(size)
  if (spare.length < size) spare = Buffer.allocUnsafeSlow(size)
  lent = spare.length === size ? spare : spare.subarray(0, size)
  return lent
}

/** The first `used` bytes of room from {@link roomFor}, for the caller to keep. */
export function trimmed(room: Buffer, used: number): Buffer {
  const short = room.length > POOLED_MAX && used < room.length / 2
  // What is given away of much larger memory would hold all of it: the next room is made to measure instead.
  const oversized = room === lent && spare.length > 2 * room.length
  if (room === lent && !short) {
    lent = NONE
    spare = NONE
  }
  if (short || oversized) return Buffer.from(room.subarray(0, used))
  return used < room.length ? room.subarray(0, used) : room
}
