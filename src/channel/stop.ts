import { shown, wholeMilliseconds } from '../arguments.js'
import { whenHeard } from '../awake.js'
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
 * @param late  what did not come about in time
 * @returns what ends the listening
 * @throws {TypeError | RangeError} a wrong option
 */
export function onStop(
  { timeout, signal }: StopOptions,
  stopped: (reason: unknown) => void,
  late: () => string = () => 'it took longer',
): () => void {
  if (timeout !== undefined) wholeMilliseconds('timeout', timeout)
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw new TypeError(`signal: an AbortSignal, not ${shown(signal)}`)
  }
  if (signal?.aborted) {
    stopped(reasonOf(signal))
    return () => {}
  }
  const unlisten = signal === undefined ? null : onAbort(signal, stopped)
  const over = (): void => stopped(new HandoverError('ERR_HANDOVER_TIMED_OUT', `${late()}: not within ${timeout} ms`))
  const endTimeout = timeout === undefined ? null : whenHeard(timeout, over)
  return () => {
    unlisten?.()
    endTimeout?.()
  }
}
