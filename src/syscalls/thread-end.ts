/**
 * Descriptors that are closed when this worker thread ends, however it ends: a bit each, in memory that the addon reads
 * then. In the main thread nothing is kept: the process ends with it. Numbers beyond the bits are left to the process.
 */
import { isMainThread } from 'node:worker_threads'
import { CLOSED_WITH_THREAD_MAX } from '../limits.js'
import { closeMany } from './descriptor.js'
import { kernel } from './kernel.js'

let bits: Uint32Array | null = null

/** From now on the descriptor is closed at the end of the thread. */
export function add(descriptor: number): void {
  if (isMainThread || descriptor >= CLOSED_WITH_THREAD_MAX) return
  if (bits === null) {
    bits = new Uint32Array(CLOSED_WITH_THREAD_MAX / 32)
    kernel.closeAtEnd(bits)
  }
  bits[descriptor >>> 5] = (bits[descriptor >>> 5] as number) | (1 << (descriptor & 31))
}

/** From now on it is not. */
export function remove(descriptor: number): void {
  if (bits === null || descriptor >= CLOSED_WITH_THREAD_MAX) return
  bits[descriptor >>> 5] = (bits[descriptor >>> 5] as number) & ~(1 << (descriptor & 31))
}

export function addAll(descriptors: Int32Array): void {
  if (!isMainThread) for (const descriptor of descriptors) add(descriptor)
}

export function removeAll(descriptors: Int32Array): void {
  if (!isMainThread) for (const descriptor of descriptors) remove(descriptor)
}

/** Closes descriptors that were added. Takes them. */
export function close(descriptors: Int32Array): void {
  removeAll(descriptors)
  closeMany(descriptors)
}
