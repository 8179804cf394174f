import { setTimeout as delay } from 'node:timers/promises'
import type { Channel } from '../../channel/channel.js'
import { HandoverError } from '../../errors.js'
import { SUCCESSION_DEATH_WAIT, SUCCESSION_DESCRIPTORS_MAX, SUCCESSION_INTERVAL } from '../../limits.js'
import { Descriptor } from '../../sendmsg/descriptor.js'
import {
  asDescription,
  type CommitWord,
  type Description,
  type DescriptorsWord,
  type ReadyWord,
} from './description.js'
import type { Parts } from './parts.js'
import { Rebuilt } from './rebuild.js'

/** Everything a predecessor has told. Owns the descriptors. */
interface Told {
  readonly description: Description
  readonly things: Descriptor[]
}

/**
 * Takes everything over from the supervisor at the other end of a channel, and goes on in its place.
 *
 * Invariant: before the predecessor's word nothing is read, written, accepted or ended here. Its death stands for its word
 * if it said so before: it was frozen then, and has done nothing since.
 * @param ready  makes what only this one has, before it is too late
 * @returns what came along, by name. Given
 * @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED: the predecessor goes on; nothing of it is here any more
 */
export async function takeOver(parts: Parts, channel: Channel, ready: () => void): Promise<Map<string, Descriptor>> {
  const parent = process.ppid
  let told: Told | null = null
  let rebuilt: Rebuilt | null = null
  try {
    told = await hear(channel)
    rebuilt = new Rebuilt(parts, told.description, told.things)
    ready()
  } catch (error) {
    rebuilt?.discard()
    for (const thing of rebuilt === null ? (told?.things ?? []) : []) if (thing.fd >= 0) thing.close()
    await channel.send({ type: 'failed', message: (error as Error).message }).catch(() => {})
    channel.close()
    throw notTaken(error)
  }
  if (await isOurs(channel, rebuilt, told.description, parent)) {
    rebuilt.goOn()
    channel.close()
    return rebuilt.along()
  }
  rebuilt.discard()
  channel.close()
  throw notTaken(new Error('the predecessor goes on'))
}

async function hear(channel: Channel): Promise<Told> {
  const description = asDescription((await next(channel)).message)
  const things: Descriptor[] = []
  try {
    if (description.descriptors > SUCCESSION_DESCRIPTORS_MAX) throw new RangeError('the predecessor has too much')
    while (things.length < description.descriptors) {
      const { message, things: more } = await next(channel)
      const { type, from } = message as DescriptorsWord
      const sound = type === 'descriptors' && from === things.length && more.length > 0
      for (const thing of more) if (thing instanceof Descriptor) things.push(thing)
      if (!sound) throw new HandoverError('ERR_HANDOVER_BAD_FRAME', 'the predecessor told something else')
    }
    return { description, things }
  } catch (error) {
    for (const thing of things) thing.close()
    throw error
  }
}

async function next(channel: Channel): Promise<{ message: unknown; things: readonly unknown[] }> {
  const delivery = await channel.receive()
  if (delivery === null) throw new HandoverError('ERR_HANDOVER_PEER_GONE', 'the predecessor ended the channel')
  return delivery
}

async function isOurs(
  channel: Channel,
  { workers, ports }: Rebuilt,
  description: Description,
  parent: number,
): Promise<boolean> {
  try {
    const word: ReadyWord = { type: 'ready', pid: process.pid, workers, ports }
    await channel.send(word)
    const delivery = await next(channel)
    return (delivery.message as CommitWord).type === 'commit'
  } catch {
    return description.orphan && parent === description.pid && (await hasDied(parent))
  }
}

/** A predecessor that lives and wants no successor any more ends it within this time. */
async function hasDied(parent: number): Promise<boolean> {
  for (let waited = 0; waited < SUCCESSION_DEATH_WAIT && process.ppid === parent; waited += SUCCESSION_INTERVAL) {
    await delay(SUCCESSION_INTERVAL)
  }
  return process.ppid !== parent
}

function notTaken(cause: unknown): HandoverError {
  return new HandoverError('ERR_HANDOVER_NOT_REPLACED', `not taken over: ${(cause as Error).message}`, { cause })
}
