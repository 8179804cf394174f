import type { Credentials } from '../syscalls/credentials.js'
import type { Hello } from '../wire/hello.js'
import type { DecodedOffer, Verdict } from '../wire/offer.js'
import type { Returned } from './held-descriptors.js'

export type { Note } from './held-descriptors.js'

/** What a link tells its owner. A handler that throws ends neither the channel nor the other deliveries. */
export interface LinkHandlers {
  /** The peer's hello came and a common version exists. `sender` if the kernel was asked who said it. */
  opened?(peer: Hello, sender: Credentials | null): void
  message?(message: unknown): void
  /** Gives the descriptors; null when there was no room for them. Answer it with one verdict, sooner or later. */
  offered?(offer: DecodedOffer, descriptors: Int32Array | null): void
  /** What became of an offer of ours. */
  answered?(verdict: Verdict): void
  /** The peer would have an offer of its own back. */
  withdrawn?(offer: number): void
  /** Whether transports of this tag are welcome. If not they go back to the sender, unclaimed. */
  willing?(tag: number, count: number): boolean
  /**
   * Gives the descriptors. Called only once the kernel has the claim for them. `details` has an entry for each; null:
   * nothing was said of any.
   */
  transports?(tag: number, descriptors: Int32Array, details: readonly unknown[] | null): void
  /** The peer has claimed more; its copies are its own and ours are closed. */
  claimed?(): void
  /** Gives the descriptors back: the peer did not take them. */
  returned?(returned: Returned): void
  /** How many transports the peer has closed since the channel began. */
  finished?(count: number): void
  /** Gives a listening port's descriptor; null: there was no room for it. */
  port?(tag: number, descriptor: number | null): void
  /** How many transports the peer has accepted by itself since the channel began. */
  accepted?(count: number): void
  /** Descriptors from the peer were cut off here, for want of room; it has been told and still owns them. */
  lost?(count: number): void
  /** All that waited to be sent is with the kernel. */
  drained?(): void
  /** The end: `error` is null after an orderly one. Gives every descriptor that was queued or unclaimed. */
  closed?(error: Error | null, returned: Returned): void
}
