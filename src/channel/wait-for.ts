import { HandoverError } from '../errors.js'
import { pollReadable } from '../syscalls/poll.js'
import type { Deliveries } from './deliveries.js'

/**
 * Waits for a message without running the event loop: looks, then reads what comes, and looks again. Borrows the socket.
 * Blocks the thread.
 * @throws {HandoverError} ERR_HANDOVER_NO_ANSWER after `milliseconds`; whatever `push` throws
 */
export function waitFor<Wanted>(
  socket: number,
  milliseconds: number,
  deliveries: Deliveries,
  wanted: (message: unknown) => message is Wanted,
  push: () => void,
  read: () => void,
  sender: { readonly blocked: boolean },
): Wanted {
  const deadline = performance.now() + milliseconds
  deliveries.awaited = wanted
  try {
    for (;;) {
      const found = deliveries.pick(wanted)
      if (found !== undefined) return found
      push()
      const left = deadline - performance.now()
      if (left <= 0) throw new HandoverError('ERR_HANDOVER_NO_ANSWER', `no answer within ${milliseconds} ms`)
      // Short waits only while something is still to be sent: this poll looks for readability alone.
      if (pollReadable(socket, Math.ceil(Math.min(left, sender.blocked ? 5 : 100)))) read()
    }
  } finally {
    deliveries.awaited = null
  }
}
