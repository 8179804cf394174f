import { HandoverError } from '../errors.js'
import { pollReadable } from '../syscalls/poll.js'

/**
 * Waits for something without running the event loop: looks, then reads what comes, and looks again. Borrows the socket.
 * Blocks the thread.
 * @throws {HandoverError} ERR_HANDOVER_NO_ANSWER after `milliseconds`; whatever `look` throws
 */
export function waitFor<Found>(
  socket: number,
  milliseconds: number,
  look: () => Found | undefined,
  read: () => void,
  sender: { readonly blocked: boolean },
): Found {
  const deadline = performance.now() + milliseconds
  for (;;) {
    const found = look()
    if (found !== undefined) return found
    const left = deadline - performance.now()
    if (left <= 0) throw new HandoverError('ERR_HANDOVER_NO_ANSWER', `no answer within ${milliseconds} ms`)
    // Short waits only while something is still to be sent: this poll looks for readability alone.
    if (pollReadable(socket, Math.ceil(Math.min(left, sender.blocked ? 5 : 100)))) read()
  }
}
