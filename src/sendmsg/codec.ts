import { shown } from '../arguments.js'
import { CMSG_SPACE, type ControlMessage, controlMessageOf, iterableOf } from './ancillary.js'
import { asBytes } from './buffers.js'

/** One kind of control message: its numbers, and how a value stands in its bytes. */
export interface Codec<Value, Given = Value> {
  /** The whole control message for {@link sendmsg}: `[level, type, data]`. */
  (value: Given): ControlMessage
  readonly level: number
  readonly type: number
  /** Bytes that one takes where it is received, for `ancillarySize`; `rights` has it for one descriptor. */
  readonly space: number
  /** The data of a control message. */
  encode(value: Given): Buffer
  /** The value in the data of a control message. @throws {RangeError} the data is of another size: it was cut off, say */
  decode(data: Uint8Array): Value
  /** The first whole one of this kind among received control messages, or `undefined`; one that was cut off is none. */
  from(ancillary: Iterable<ControlMessage>): Value | undefined
}

interface Definition<Value, Given> {
  /** As in `IP_PKTINFO`, for errors. */
  constant: string
  level: number
  type: number
  /** The type under which it is received, where that is another one. */
  receivedType?: number
  /** Bytes that the data has when it is received. */
  size: number
  /** Whether data of another size is whole all the same. */
  sizes?: (length: number) => boolean
  encode(value: Given): Buffer
  decode(data: Buffer): Value
}

/** Makes a codec of a definition; one for a type that this platform lacks refuses to send and finds nothing. */
export function defineCodec<Value, Given = Value>(definition: Definition<Value, Given>): Codec<Value, Given> {
  const { constant, level, type, size } = definition
  const isWhole = definition.sizes ?? ((length: number): boolean => length === size)
  const receivedType = definition.receivedType ?? type
  const decode = (data: Uint8Array): Value => {
    const bytes = asBytes(data)
    if (bytes === null) throw new TypeError(`data: the bytes of a control message, not ${shown(data)}`)
    if (!isWhole(bytes.byteLength)) {
      throw new RangeError(`data: the bytes of one ${constant}, not ${bytes.byteLength} bytes; was it cut off?`)
    }
    return definition.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  }
  const message = (value: Given): ControlMessage => {
    if (level === undefined || type === undefined) throw new TypeError(`${constant}: this platform has none`)
    return [level, type, definition.encode(value)]
  }
  const from = (ancillary: Iterable<ControlMessage>): Value | undefined => {
    const whole = dataOf(ancillary, level, receivedType).find(({ byteLength }) => isWhole(byteLength))
    return whole === undefined ? undefined : decode(whole)
  }
  return Object.assign(message, { level, type, space: CMSG_SPACE(size), encode: definition.encode, decode, from })
}

/** A value that has to be an object with some of these fields. @throws {TypeError} it is none, or has others */
export function fieldsOf<Value extends object>(name: string, value: Value, known: readonly string[]): Value {
  if (typeof value !== 'object' || value === null) throw new TypeError(`${name}: an object, not ${shown(value)}`)
  const strange = Object.keys(value).find((field) => !known.includes(field))
  if (strange === undefined) return value
  throw new TypeError(`${name}: an object with ${known.join(', ')} or some of them, not ${strange}`)
}

/** The data of all control messages of one kind. */
export function dataOf(ancillary: Iterable<ControlMessage>, level: number, type: number): Uint8Array[] {
  const found: Uint8Array[] = []
  let index = 0
  for (const message of iterableOf(ancillary)) {
    const [itsLevel, itsType, data] = controlMessageOf(message, index++)
    if (itsLevel === level && itsType === type) found.push(data)
  }
  return found
}
