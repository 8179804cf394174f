/** What waits in an outbox. */

/** Frames without descriptors, one behind the other. */
export interface Bytes {
  kind: 'bytes'
  buffer: Buffer
  start: number
  end: number
}

/** The next `count` held descriptors, all of one tag: as many transport frames as they need. */
export interface Transports {
  kind: 'transports'
  tag: number
  count: number
}

/** One frame with descriptors that are held elsewhere, until it is sent. */
export interface Carrying {
  kind: 'carrying'
  frame: Buffer
  descriptors: Int32Array
  count: number
  sent: () => void
  dropped: () => void
}

export type Queued = Bytes | Transports | Carrying

/** What carries descriptors of others leaves the queue by itself. */
export function isSpent(item: Queued): boolean {
  if (item.kind === 'bytes') return item.start === item.end
  return item.kind === 'transports' && item.count === 0
}
