/** Channels of the tests' own, and a kind of thing that tells what became of it. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { Channel } from '../../src/channel/channel.js'
import { endCredentials } from '../../src/channel/end.js'
import { registerKind } from '../../src/channel/kinds.js'
import type { ChannelOptions } from '../../src/channel/options.js'
import { close, closeMany } from '../../src/syscalls/descriptor.js'
import { identify } from '../../src/syscalls/identity.js'
import { pollReadable } from '../../src/syscalls/poll.js'
import { recvRights, sendRights } from '../../src/syscalls/rights.js'
import { socketpair } from '../../src/syscalls/socket.js'
import { FrameReader, FrameType } from '../../src/wire/frame.js'
import { type AnnouncedThing, encodeOffer, type Outcome } from '../../src/wire/offer.js'
import { hello, raw, traced } from './links.js'
import { until } from './wait.js'

/** How often a test waits for what comes in one turn or a few. */
export const turns = async (count = 3): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}

export interface ThingOptions {
  count?: number
  details?: unknown
  bytes?: Uint8Array
  /** Its release waits for this. */
  released?: Promise<void>
}

/** A thing with descriptors whose last copy is noticed, which writes down how it ended. */
export class Thing {
  readonly ends: ReturnType<typeof traced>[]
  readonly outcomes: string[] = []
  readonly options: ThingOptions
  onOutcome: (outcome: string) => void = () => {}

  constructor(t: TestContext, options: ThingOptions = {}) {
    this.options = options
    this.ends = Array.from({ length: options.count ?? 1 }, traced)
    t.after(() => closeMany(Int32Array.from(this.ends.map(({ watch }) => watch))))
  }

  get descriptors(): number[] {
    return this.ends.map(({ descriptor }) => descriptor)
  }

  settle(outcome: string): void {
    this.outcomes.push(outcome)
    if (outcome === 'claimed') closeMany(Int32Array.from(this.descriptors))
    this.onOutcome(outcome)
  }

  get isGone(): boolean {
    return this.ends.every((end) => end.isGone())
  }

  /** It is its sender's as before, and nobody else has a copy. Ends it. */
  async assertRestored(what = 'restored'): Promise<void> {
    assert.deepEqual(this.outcomes, ['restored'], `${what}: exactly one outcome`)
    this.assertUsable(what)
    closeMany(Int32Array.from(this.descriptors))
    await until(`${what}: nobody else has a copy`, () => this.isGone, 3_000)
  }

  assertUsable(what = 'it'): void {
    for (const { descriptor, watch } of this.ends) {
      raw(watch, Buffer.from('!'))
      assert.ok(pollReadable(descriptor, 0), `${what}: open and usable`)
      const byte = Buffer.alloc(1)
      recvRights(descriptor, byte, 0, 1, new Int32Array(253), new Int32Array(5))
      assert.equal(byte.toString(), '!')
    }
  }

  /** The receiver has the only copies. Ends it. */
  async assertClaimed(arrived: ArrivedThing, what = 'claimed'): Promise<void> {
    assert.deepEqual(this.outcomes, ['claimed'], `${what}: exactly one outcome`)
    assert.ok(!this.isGone, `${what}: the receiver has it`)
    arrived.close()
    await until(`${what}: nobody else has a copy`, () => this.isGone, 3_000)
  }
}

/** What a Thing is at the other side. Owns its descriptors. */
export class ArrivedThing {
  readonly descriptors: readonly number[]
  readonly details: unknown
  readonly bytes: Buffer

  constructor(descriptors: readonly number[], details: unknown, bytes: Buffer) {
    this.descriptors = descriptors
    this.details = details
    this.bytes = bytes
  }

  close(): void {
    closeMany(Int32Array.from(this.descriptors))
  }
}

/** What adopting does besides; a test may put its own in place. */
export const adopting: { hook: ((details: unknown) => void | Promise<void>) | null } = { hook: null }

registerKind<Thing | ArrivedThing>({
  name: 'traced',
  is: (thing) => thing instanceof Thing,
  release(thing) {
    const it = thing as Thing
    const { details, bytes, released } = it.options
    const parcel = {
      descriptors: it.descriptors,
      ...(details === undefined ? {} : { details }),
      ...(bytes === undefined ? {} : { bytes }),
      claimed: () => it.settle('claimed'),
      restored: () => it.settle('restored'),
    }
    return released === undefined ? parcel : released.then(() => parcel)
  },
  adopt({ descriptors, details, bytes }) {
    const failed = (error: unknown): never => {
      closeMany(Int32Array.from(descriptors))
      throw error
    }
    try {
      const hooked = adopting.hook?.(details)
      const arrived = new ArrivedThing(descriptors, details, bytes)
      return hooked instanceof Promise ? hooked.then(() => arrived, failed) : arrived
    } catch (error) {
      return failed(error)
    }
  },
})

export function channelOf(descriptor: number, options: ChannelOptions = {}): Channel {
  return new Channel({ descriptor, credentials: endCredentials(descriptor) }, options)
}

/** Two connected channels in this process, both past their hellos. */
export async function channelPair(
  t: TestContext,
  left: ChannelOptions = {},
  right: ChannelOptions = {},
  [a, b] = socketpair(),
): Promise<[Channel, Channel]> {
  const channels: [Channel, Channel] = [channelOf(a, left), channelOf(b, right)]
  t.after(() => {
    for (const channel of channels) channel.close()
  })
  await Promise.all(channels.map(({ opened }) => opened))
  return channels
}

/** A channel whose peer is a bare socket. `greet` says its hello and waits until it was heard. */
export function channelAndSocket(
  t: TestContext,
  options: ChannelOptions = {},
): { channel: Channel; own: number; peer: RawPeer; greet(): Promise<void> } {
  const [own, socket] = socketpair()
  const channel = channelOf(own, options)
  const peer = new RawPeer(socket)
  t.after(() => {
    channel.close()
    peer.end()
  })
  return {
    channel,
    own,
    peer,
    async greet() {
      raw(socket, hello)
      await channel.opened
    },
  }
}

export interface Frame {
  type: FrameType
  payload: Buffer
}

/** A peer that is nothing but a socket: reads when it is asked to, and says anything. */
export class RawPeer {
  readonly socket: number
  readonly frames: Frame[] = []
  /** All that came, in order; the peer's own. */
  readonly descriptors: number[] = []
  readonly #reader = new FrameReader()
  #ended = false

  constructor(socket: number) {
    this.socket = socket
  }

  /** Reads what is there. @returns whether the stream is at its end */
  read(): boolean {
    const row = new Int32Array(253)
    const arrived = new Int32Array(5)
    while (!this.#ended && pollReadable(this.socket, 0)) {
      const { buffer, filled } = this.#reader
      const received = recvRights(this.socket, buffer, filled, buffer.length - filled, row, arrived)
      this.descriptors.push(...row.subarray(0, arrived[0]))
      if (received <= 0) return true
      this.#reader.commit(received, (type, _count, bytes, offset, length) => {
        this.frames.push({ type, payload: Buffer.from(bytes.subarray(offset, offset + length)) })
      })
    }
    return this.#ended
  }

  of(type: FrameType): Buffer[] {
    return this.frames.filter((frame) => frame.type === type).map(({ payload }) => payload)
  }

  /** Reads until so many frames of a type have come. */
  async heard(type: FrameType, count = 1): Promise<Buffer[]> {
    await until(`${count} frames of type ${type}`, () => {
      this.read()
      return this.of(type).length >= count
    })
    return this.of(type)
  }

  /** Verdicts that came: number, outcome, reason. */
  get verdicts(): [number, Outcome, string][] {
    return this.of(FrameType.verdict).map((payload) => [
      Number(payload.readBigUInt64LE(0)),
      payload[8] as Outcome,
      payload.toString('utf8', 9),
    ])
  }

  say(bytes: Uint8Array, descriptors: readonly number[] = []): void {
    raw(this.socket, bytes, [...descriptors])
  }

  /** Says as much as the socket takes. */
  pour(bytes: Uint8Array): number {
    return sendRights(this.socket, bytes, 0, bytes.length, new Int32Array(0), 0, 0)
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    closeMany(Int32Array.from(this.descriptors.splice(0)))
    close(this.socket)
  }
}

/** A whole offer, as a peer of any kind might say it. */
export function offerFrame(
  number: number,
  descriptors: readonly number[] = [],
  { kind = 'traced', ids, message }: { kind?: string; ids?: string[]; message?: unknown } = {},
): Buffer {
  const things: AnnouncedThing[] =
    descriptors.length === 0 ? [] : [{ kind, ids: ids ?? descriptors.map((descriptor) => identify(descriptor)) }]
  return encodeOffer(number, { message, things }, [], descriptors.length).last
}
