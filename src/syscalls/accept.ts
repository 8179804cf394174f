import { kernel } from './kernel.js'

/**
 * Accepts up to `most` waiting connections in one native call. Borrows the listener, gives the new descriptors.
 * @param descriptors  receives the descriptors, from index 0
 * @param peers        receives an address each, in slots of `slot` bytes: cut off, or filled up with zeros
 * @returns how many came, 0 when none waits, or -errno (EMFILE, ENFILE: no descriptor was to be had)
 * @see accept(2)
 */
export function accept(
  listener: number,
  descriptors: Int32Array,
  peers: Uint8Array,
  slot: number,
  most: number,
): number {
  return kernel.accept(listener, descriptors, peers, slot, most)
}
