/** A connection that goes from one worker to another: what it is with what belongs to it, and back. */
import net from 'node:net'
import { shown } from '../arguments.js'
import type { ReleaseOptions } from '../channel/kinds.js'
import { type Packed, pack } from '../channel/packing.js'
import { unpack } from '../channel/unpacking.js'
import { STATE_KIND } from '../wire/control.js'
import type { DecodedOffer } from '../wire/offer.js'
import { notWhatWasSaid } from './arrived.js'
import { registerBuiltinKinds } from './builtin-kinds.js'
import type { Route } from './route.js'
import { Transport } from './transport.js'

registerBuiltinKinds() // a program that was only preloaded knows of none

/** What goes with a connection that is handed over. */
export interface HandOverContents {
  /**
   * What the receiving worker takes it as: the name it gave `onHandOver`. Default: none; the connection is served by the
   * server there that listens on the same port, as if it had just come.
   */
  as?: string
  /** Any JSON, for the receiver; only with `as`. With `unread` at most 8 MiB. */
  state?: unknown
  /** Bytes that were read from the connection and not used: there they come before all others. Copied. */
  unread?: Uint8Array
}

/** The names of its members. */
export const CONTENTS = ['as', 'state', 'unread'] as const

/** No identity of a socket begins like this: it is not the channel's own that is asked for. */
const NO_CHANNEL = 'none'

/**
 * Checks what is to be handed over.
 * @returns what takes the connection out of use, at once unless its output is still in this process
 * @throws {TypeError} a wrong argument; nothing has happened then
 */
export function packing(
  connection: net.Socket | Transport,
  { as, state, unread }: HandOverContents,
): (options: ReleaseOptions) => Packed | Promise<Packed> {
  if (!(connection instanceof net.Socket || connection instanceof Transport)) {
    throw new TypeError(`socket: a net.Socket or a Transport, not ${shown(connection)}`)
  }
  if (as !== undefined && (typeof as !== 'string' || as === '')) throw new TypeError(`as: a text, not ${shown(as)}`)
  if (state !== undefined && as === undefined) throw new TypeError('state: needs `as`, whose handler is to get it')
  if (unread !== undefined && !(unread instanceof Uint8Array)) {
    throw new TypeError(`unread: a Uint8Array, not ${shown(unread)}`)
  }
  const json = state === undefined ? null : jsonOf(state)
  const first = unread === undefined || unread.length === 0 ? null : Buffer.from(unread)
  return (options) => {
    const packed = pack([connection], options, NO_CHANNEL)
    if (packed instanceof Promise) return packed.then((made) => complete(made, json, first))
    return complete(packed, json, first)
  }
}

/** @throws {TypeError} it is none */
export function checkRoute(route: Route): Route {
  if (typeof route !== 'object' || route === null) throw new TypeError(`to: an object, not ${shown(route)}`)
  const known = ['group', 'worker', 'key']
  for (const [name, value] of Object.entries(route)) {
    if (!known.includes(name)) throw new TypeError(`to.${name}: no such member; there are ${known.join(', ')}`)
    if (value !== undefined && typeof value !== 'string') throw new TypeError(`to.${name}: a text, not ${shown(value)}`)
  }
  return route
}

function jsonOf(state: unknown): Buffer {
  let json: string | undefined
  try {
    json = JSON.stringify(state)
  } catch (cause) {
    throw new TypeError(`state: any JSON: ${(cause as Error).message}`, { cause })
  }
  if (json === undefined) throw new TypeError(`state: any JSON, not ${shown(state)}`)
  return Buffer.from(json)
}

/** The bytes of both stay apart from the announcement: who passes them on does not parse them. */
function complete(packed: Packed, state: Buffer | null, unread: Buffer | null): Packed {
  if (state === null && unread === null) return packed
  const things = packed.things.map((thing) =>
    unread === null ? thing : { ...thing, bytes: (thing.bytes ?? 0) + unread.length },
  )
  const bytes = unread === null ? [...packed.bytes] : [unread, ...packed.bytes]
  if (state !== null) {
    things.push({ kind: STATE_KIND, ids: [], bytes: state.length })
    bytes.push(state)
  }
  return { ...packed, things, bytes }
}

/**
 * Takes the state out of an offer: what is left is that of a connection alone.
 * @throws {SyntaxError} the state is no JSON
 */
export function withoutState(offer: DecodedOffer): { offer: DecodedOffer; state: unknown } {
  const { things } = offer.head
  const last = things.at(-1)
  if (last?.kind !== STATE_KIND) return { offer, state: undefined }
  const at = offer.bytes.length - (last.bytes ?? 0)
  const state: unknown = JSON.parse(offer.bytes.toString('utf8', at))
  const head = { ...offer.head, things: things.slice(0, -1) }
  return { offer: { ...offer, head, bytes: offer.bytes.subarray(0, at) }, state }
}

/**
 * Makes a socket of what was claimed. Takes the descriptors.
 * @throws {HandoverError} ERR_HANDOVER_IDENTITY: it is not what was said; all is closed then
 */
export function unpackConnection(offer: DecodedOffer, descriptors: Int32Array): net.Socket {
  const delivery = unpack(offer, descriptors)
  const thing = delivery instanceof Promise ? undefined : delivery.things[0]
  if (thing instanceof Transport) return thing.adopt()
  if (thing instanceof net.Socket) return thing
  throw notWhatWasSaid('connection')
}
