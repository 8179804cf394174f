import { checkOptions, wholeMilliseconds } from '../arguments.js'
import { FLUSH_TIMEOUT } from '../limits.js'
import { reasonOf } from '../sendmsg/abort.js'
import type { ReleaseOptions } from './kinds.js'
import type { OffersSent } from './offers-sent.js'
import { SEND_OPTIONS, type SendOptions } from './options.js'
import { type Packed, pack } from './packing.js'
import { onStop } from './stop.js'

/**
 * One call of `Channel.send`, from the check of its arguments to its end.
 * @param own  how the identity of the channel's own socket begins
 */
export function sendOver(
  sent: OffersSent,
  own: string,
  message: unknown,
  things: readonly unknown[],
  options: SendOptions,
): Promise<void> {
  return new Promise((resolve) => {
    checkOptions(options, SEND_OPTIONS)
    resolve(sendPacked(sent, message, (release) => pack(things, release, own), options))
  })
}

/** The same for whoever packs himself. Options have known names only. */
export function sendPacked(
  sent: OffersSent,
  message: unknown,
  packing: (options: ReleaseOptions) => Packed | Promise<Packed>,
  { flushTimeout = FLUSH_TIMEOUT, ...options }: SendOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const { signal } = options
    wholeMilliseconds('flushTimeout', flushTimeout)
    if (signal?.aborted) throw reasonOf(signal)
    let stop = (): void => {}
    const place = sent.place(
      () => {
        stop()
        resolve()
      },
      (error) => {
        stop()
        reject(error)
      },
    )
    try {
      stop = onStop(options, place.withdraw, () => "the peer's program did not take it")
      place.fill(packing({ flushTimeout }), message)
    } catch (error) {
      place.failed(error)
    }
  })
}
