import { shown } from '../arguments.js'
import { MESSAGE_BYTES_MAX } from '../limits.js'

/**
 * A message of a program's own, if it can travel between master and worker.
 * @throws {TypeError} JSON cannot say it
 * @throws {RangeError} it says it in too many bytes
 */
export function checkMessage(message: unknown): unknown {
  let text: string | undefined
  try {
    text = JSON.stringify(message)
  } catch (cause) {
    throw new TypeError(`message: JSON cannot say it (${(cause as Error).message})`, { cause })
  }
  if (text === undefined) throw new TypeError(`message: what JSON can say, not ${shown(message)}`)
  const bytes = Buffer.byteLength(text)
  if (bytes <= MESSAGE_BYTES_MAX) return message
  throw new RangeError(
    `message: at most ${MESSAGE_BYTES_MAX} bytes as JSON, not ${bytes}: pass a file's name, or open a channel for more`,
  )
}
