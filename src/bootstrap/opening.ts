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
    return await Promise.race([opened(make, stop), aborted(stop)])
  } finally {
    unlisten()
  }
}

/** A channel that comes too late, as a bootstrap may pay no heed to the signal, is closed. */
async function opened(make: (stop: AbortSignal) => Channel | Promise<Channel>, stop: AbortSignal): Promise<Channel> {
  const channel = await make(stop)
  const close = (): void => channel.close()
  if (stop.aborted) close()
  stop.addEventListener('abort', close, { once: true })
  try {
    return await channel.opened
  } finally {
    stop.removeEventListener('abort', close)
  }
}

function aborted(stop: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (stop.aborted) reject(stop.reason)
    stop.addEventListener('abort', () => reject(stop.reason), { once: true })
  })
}
