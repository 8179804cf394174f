/** What a worker is told when it is to finish. */
export interface Drain {
  /** Other workers serve the same ports already: what can move may go there. */
  readonly successor: boolean
  /** Until what is still open is cut. */
  readonly milliseconds: number
}

type DrainHandler = (drain: Drain) => void | Promise<void>

/** The handlers are the process's (or thread's) own, even where two copies of this package are loaded. */
const KEY = Symbol.for('handover.drain-handlers')
const global = globalThis as { [KEY]?: Set<DrainHandler> }
global[KEY] ??= new Set()
const handlers = global[KEY]

/**
 * Calls a handler when this worker is told to finish, before anything is closed. The worker ends when all handlers are
 * done, at the latest when its time is up. What a handler throws is uncaught, as in any callback.
 * @returns what ends it
 */
export function onDrain(handler: DrainHandler): () => void {
  if (typeof handler !== 'function') throw new TypeError('handler: a function')
  const own: DrainHandler = (drain) => handler(drain)
  handlers.add(own)
  return () => void handlers.delete(own)
}

/** Calls all handlers; settles when all are done, and never rejects. */
export async function drainHandled(drain: Drain): Promise<void> {
  const running = [...handlers].map(async (handler) => handler(drain))
  await Promise.all(running.map((done) => done.catch(rethrow)))
}

function rethrow(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}
