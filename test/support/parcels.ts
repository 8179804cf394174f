/** Things go out and in within one process, without a channel between. */
import type { Arrived, Parcel, ThingKind } from '../../src/channel/kinds.js'
import { dup } from '../../src/syscalls/descriptor.js'

/** What arrives of a parcel: copies of its descriptors, and details that went through JSON. */
export function arrivalOf(parcel: Parcel): Arrived {
  return {
    descriptors: parcel.descriptors.map((descriptor) => dup(descriptor)),
    details: parcel.details === undefined ? undefined : JSON.parse(JSON.stringify(parcel.details)),
    bytes: Buffer.from(parcel.bytes ?? []),
  }
}

/** Releases a thing, claims it, and adopts what arrived. */
export async function handOver<Thing>(kind: ThingKind<Thing>, thing: Thing, flushTimeout = 5_000): Promise<Thing> {
  const parcel = await kind.release(thing, { flushTimeout })
  const arrived = arrivalOf(parcel)
  parcel.claimed()
  return kind.adopt(arrived)
}

/** Shares a thing, claims it, and adopts what arrived: both sides have it. */
export async function handCopy<Thing>(kind: ThingKind<Thing>, thing: Thing): Promise<Thing> {
  const parcel = kind.share?.(thing) as Parcel
  const arrived = arrivalOf(parcel)
  parcel.claimed()
  return kind.adopt(arrived)
}
