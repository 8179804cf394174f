import { wholeNumber } from '../arguments.js'
import { HandoverError } from '../errors.js'
import { onAbort, reasonOf } from '../sendmsg/abort.js'

/** What ends a wait before its time. */
export interface StopOptions {
  /** Milliseconds. */
  timeout?: number
  signal?: AbortSignal
}

/**
 * Calls `stopped` once, with a reason, when the time is up or the signal is aborted; at once if it is already.
 * @returns what ends the listening
 * @throws {TypeError | RangeError} a wrong option
 */
export function onStop({ timeout, signal }: StopOptions, stopped: (reason: unknown) => void): () => void {
  if (timeout !== undefined) wholeNumber('timeout', timeout, 0, 0x7fffffff)
  if (signal?.aborted) {
    stopped(reasonOf(signal))
    return () => {}
  }
  const unlisten = signal === undefined ? null : onAbort(signal, stopped)
  const timer =
    timeout === undefined
      ? null
      : setTimeout(() => stopped(new HandoverError('ERR_HANDOVER_TIMED_OUT', `not within ${timeout} ms`)), timeout)
  return () => {
    unlisten?.()
    if (timer !== null) clearTimeout(timer)
  }
}
