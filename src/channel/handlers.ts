import type { Hello } from '../wire/hello.js'
import type { Returned } from './held-descriptors.js'

/** What a channel tells its owner. A handler that throws ends neither the channel nor the other deliveries. */
export interface LinkHandlers {
  /** The peer's hello came and a common version exists. */
  opened?(peer: Hello): void
  /** Gives the descriptors. */
  message?(message: unknown, descriptors: Int32Array): void
  /** Whether transports of this tag are welcome. If not they go back to the sender, unclaimed. */
  willing?(tag: number, count: number): boolean
  /** Gives the descriptors. Called only once the kernel has the claim for them. */
  transports?(tag: number, descriptors: Int32Array): void
  /** The peer has claimed more; its copies are its own and ours are closed. */
  claimed?(): void
  /** Gives the descriptors back: the peer did not take them. */
  returned?(returned: Returned): void
  /** How many transports the peer has closed since the channel began. */
  finished?(count: number): void
  /** Descriptors from the peer were cut off here, for want of room; it has been told and still owns them. */
  lost?(count: number): void
  /** All that waited to be sent is with the kernel. */
  drained?(): void
  /** The end: `error` is null after an orderly one. Gives every descriptor that was queued or unclaimed. */
  closed?(error: Error | null, returned: Returned): void
}
