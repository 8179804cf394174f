/** Notifications as bytes: what a service manager would drop without a word is refused here. Pure: no I/O. */
import { shown } from '../arguments.js'

/** What one notification says, by name. */
export type NotifyFields = Readonly<Record<string, string | number>>

/** Bytes of one notification; systemd ignores a longer one (its NOTIFY_BUFFER_MAX, which is PIPE_BUF). */
const BYTES_MAX = 4096

/** Characters of a name in the descriptor store (systemd's FDNAME_MAX). */
const NAME_MAX = 255

/**
 * Fields as the lines of one datagram, in their order.
 * @throws {TypeError} a name or a value is none
 * @throws {RangeError} there is no field, or there are more than 4096 bytes
 * @see sd_notify(3)
 */
export function encodeFields(fields: NotifyFields): Buffer {
  if (typeof fields !== 'object' || fields === null) {
    throw new TypeError(`fields: an object such as { STATUS: 'Ready' }, not ${shown(fields)}`)
  }
  const lines = Object.entries(fields).map(([name, value]) => `${checkedName(name)}=${checkedValue(name, value)}`)
  if (lines.length === 0) throw new RangeError('fields: at least one, not none')
  const bytes = Buffer.from(lines.join('\n'))
  if (bytes.length > BYTES_MAX) {
    throw new RangeError(`fields: at most ${BYTES_MAX} bytes in all, not ${bytes.length}: more are ignored`)
  }
  return bytes
}

function checkedName(name: string): string {
  if (/^[A-Z_][A-Z0-9_]*$/i.test(name)) return name
  throw new TypeError(`fields: names of letters, digits and underscores, not ${shown(name)}`)
}

function checkedValue(name: string, value: unknown): string {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value)
  if (typeof value === 'string' && !/[\n\0]/.test(value)) return value
  throw new TypeError(`fields.${name}: text of one line or a whole number, not ${shown(value)}`)
}

/**
 * A status of one line: line breaks and other control characters become spaces.
 * @throws {TypeError} no text
 */
export function statusLine(text: string): string {
  if (typeof text !== 'string') throw new TypeError(`status: text, not ${shown(text)}`)
  return text.replace(/\p{Cc}+/gu, ' ').trim()
}

/**
 * A name for descriptors in the store.
 * @throws {TypeError} no text
 * @throws {RangeError} empty, longer than 255 characters, or with others than printable ASCII without ':'
 */
export function storeName(name: string): string {
  if (typeof name !== 'string') throw new TypeError(`name: text, not ${shown(name)}`)
  if (name.length <= NAME_MAX && /^[ -9;-~]+$/.test(name)) return name
  throw new RangeError(`name: 1 to ${NAME_MAX} printable ASCII characters without ':', not ${shown(name)}`)
}
