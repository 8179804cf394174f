import { kernel } from './kernel.js'

/**
 * Accepts up to `most` waiting connections in one native call. Borrows the listener, gives the new descriptors.
 * @param descriptors  receives the descriptors, from index 0
 * @param peers        receives a 24-byte address record each
 * @returns how many came, 0 when none waits, or -errno (EMFILE, ENFILE: no descriptor was to be had)
 * @see accept(2)
 */
export function accept(listener: number, descriptors: Int32Array, peers: Uint8Array, most: number): number {
  return kernel.accept(listener, descriptors, peers, most)
}
