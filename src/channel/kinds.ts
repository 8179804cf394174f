/**
 * The kinds of things that can travel, by name. A kind takes a thing out of use here, and makes the same kind of
 * thing of what arrived there; all between is the same for every kind.
 */
import { shown } from '../arguments.js'

/** How a thing is to be released. */
export interface ReleaseOptions {
  /** Milliseconds that output which is still in this process has to reach the kernel. 0: none may be left. */
  readonly flushTimeout: number
}

/** A thing on its way: out of use here until one of two calls settles what becomes of it. */
export interface Parcel {
  /** 1 or more descriptors that travel. Borrowed: they stay open until the parcel is settled. */
  readonly descriptors: readonly number[]
  /** What the other side must know to make the thing, as JSON; small. */
  readonly details?: unknown
  /** Bytes that were read already and belong to the thing. */
  readonly bytes?: Uint8Array
  /** The other side has it. Disposes of ours, in silence: no FIN, no RST, no path removed. Must not throw. */
  claimed(): void
  /** It stays ours, as it was before it was released. Must not throw. */
  restored(): void
}

/** What arrived of a thing. */
export interface Arrived {
  /** As many as were sent, each the one that was announced. Whoever is given them owns them. */
  readonly descriptors: readonly number[]
  /** Who each is, as `identify` tells; compared already. */
  readonly ids?: readonly string[]
  readonly details: unknown
  /** Bytes to be delivered before any that are read from the descriptor; may be empty. */
  readonly bytes: Buffer
}

/** A kind of thing. Register your own with {@link registerKind}, on both sides. */
export interface ThingKind<Thing = unknown> {
  /** Its name on the wire. */
  readonly name: string
  /** Whether a thing is of this kind. The kind that was registered last is asked first. */
  is(thing: unknown): boolean
  /**
   * Takes a thing out of use: from now on this process neither reads nor writes it. Borrows its descriptors.
   * @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE: it cannot leave; it is as before then
   */
  release(thing: Thing, options: ReleaseOptions): Parcel | Promise<Parcel>
  /** The same where the sender goes on using its own. Left out where two users would be in each other's way. */
  share?(thing: Thing): Parcel
  /** What must be there before things can be made at once; an offer with this kind is claimed when it is. */
  prepare?(): void | Promise<void>
  /**
   * Why no thing can be made of what arrived; null if one can. Asked before the claim: what it objects to goes back to
   * its sender. Borrows the descriptors.
   */
  objection?(arrived: Arrived): string | null
  /** Makes the same kind of thing. Takes the descriptors: closes them if it throws. */
  adopt(arrived: Arrived): Thing | Promise<Thing>
}

const kinds = new Map<string, ThingKind>()
let lastFirst: readonly ThingKind[] = []

/**
 * Makes a kind of thing known to every channel of this process.
 * @throws {TypeError} it is no kind, or its name is taken
 */
export function registerKind<Thing>(kind: ThingKind<Thing>): void {
  if (typeof kind !== 'object' || kind === null) throw new TypeError(`kind: an object, not ${shown(kind)}`)
  const { name, is, release, adopt, share, prepare, objection } = kind
  if (typeof name !== 'string' || name === '') throw new TypeError(`kind.name: a text, not ${shown(name)}`)
  for (const [member, value] of Object.entries({ is, release, adopt, share, prepare, objection })) {
    const needed = member === 'is' || member === 'release' || member === 'adopt'
    if (typeof value !== 'function' && (needed || value !== undefined))
      throw new TypeError(`kind.${member}: a function, not ${shown(value)}`)
  }
  if (kinds.has(name)) throw new TypeError(`kind.name: ${shown(name)} is registered already`)
  kinds.set(name, kind as ThingKind)
  lastFirst = [...kinds.values()].reverse()
}

export function kindNamed(name: string): ThingKind | undefined {
  return kinds.get(name)
}

/** The kind of a thing: the last registered that recognises it. */
export function kindOf(thing: unknown): ThingKind | undefined {
  return lastFirst.find((kind) => kind.is(thing))
}

/** Kinds that are being prepared, or are; those that failed are tried again. */
const prepared = new Map<ThingKind, true | Promise<void>>()

/** Prepares a kind, once. @returns true if it is prepared already; rejects as the kind does */
export function prepare(kind: ThingKind): true | Promise<void> {
  const known = prepared.get(kind)
  if (known !== undefined) return known
  if (kind.prepare === undefined) return true
  const preparing = (async () => kind.prepare?.())()
  const settled = preparing.then(
    () => void prepared.set(kind, true),
    (error) => {
      prepared.delete(kind)
      throw error
    },
  )
  prepared.set(kind, settled)
  return settled
}
