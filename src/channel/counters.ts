/** What one side of a link has counted, and told. JSON. */
export interface Counters {
  /** Descriptors that were sent and settled. */
  readonly sent: number
  /** Descriptors of the peer's that were claimed. */
  readonly claimed: number
  /** The peer's transports that have closed. */
  readonly finished: number
  /** Transports that were accepted here. */
  readonly accepted: number
}
