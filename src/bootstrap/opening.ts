import type { Channel } from '../channel/channel.js'
import { onStop, type StopOptions } from '../channel/stop.js'
import { CONNECT_TIMEOUT } from '../limits.js'

/**
 * Does what leads to an open channel within its time: `make` gets a signal that ends it, and the channel it makes is
 * closed if it does not open by then.
 * @param late  what did not come about in time
 * @throws what `make` throws; the reason of the signal; ERR_HANDOVER_TIMED_OUT
 */
export async function openWithin(
  { timeout = CONNECT_TIMEOUT, signal }: StopOptions,
  make: (stop: AbortSignal) => Channel | Promise<Channel>,
  late: () => string,
): Promise<Channel> {
  const controller = new AbortController()
  const stop = controller.signal
  const unlisten = onStop({ timeout, ...(signal && { signal }) }, (reason) => controller.abort(reason), late)
  try {
    const channel = await make(stop)
    const aborted = (): void => channel.close()
    if (stop.aborted) aborted()
    stop.addEventListener('abort', aborted, { once: true })
    try {
      return await channel.opened
    } catch (error) {
      stop.throwIfAborted()
      throw error
    } finally {
      stop.removeEventListener('abort', aborted)
    }
  } finally {
    unlisten()
  }
}
