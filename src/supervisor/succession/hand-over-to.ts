import { wholeMilliseconds } from '../../arguments.js'
import type { Channel } from '../../channel/channel.js'
import { share } from '../../channel/packing.js'
import { HandoverError } from '../../errors.js'
import { SUCCESSION_BATCH, SUCCESSION_READY, SUCCESSION_REST } from '../../limits.js'
import { type Along, describe, type Inventory } from './describe.js'
import type { CommitWord, DescriptorsWord, FailedWord, ReadyWord } from './description.js'
import { Frozen } from './frozen.js'
import type { Parts } from './parts.js'

/** How a supervisor is handed over. */
export interface HandOverToOptions {
  /** Milliseconds in which what is on its way to and from the workers must arrive. Default 5,000. */
  restTimeout?: number
  /** Milliseconds that the successor has to make everything of what it is told. Default 20,000. */
  readyTimeout?: number
  /**
   * Ends the successor, and settles when it is dead: asked when it is not to take over after all, before anything goes on
   * here. With it, a successor that was told all takes over when it finds this process dead.
   */
  abandon?: () => Promise<void>
  /** Nothing moves here any more, until it is known who goes on. */
  frozen?: () => void
  /** It goes on here. */
  thawed?: () => void
  /** Other descriptors that go along, by name. Borrowed. */
  along?: Along
}

/** @throws {TypeError | RangeError} a time out of range */
export function checkTimes({ restTimeout, readyTimeout }: HandOverToOptions): void {
  if (restTimeout !== undefined) wholeMilliseconds('restTimeout', restTimeout)
  if (readyTimeout !== undefined) wholeMilliseconds('readyTimeout', readyTimeout)
}

/**
 * Hands everything over to the supervisor at the other end of a channel, in three steps: what it is, whether the other has
 * made the same of it, and the word that it is the other's. Nothing is read or written meanwhile.
 *
 * Invariant: before that word was claimed nothing has changed here, and whatever happens it goes on as before; afterwards
 * nothing of it is here.
 * @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED
 */
export async function handOverTo(
  parts: Parts,
  channel: Channel,
  {
    restTimeout = SUCCESSION_REST,
    readyTimeout = SUCCESSION_READY,
    abandon,
    frozen: told,
    thawed,
    along,
  }: HandOverToOptions,
  signal: AbortSignal,
): Promise<void> {
  const frozen = new Frozen(parts)
  try {
    await opened(channel, readyTimeout, signal)
    await frozen.rest(restTimeout, signal)
    told?.()
    const inventory = describe(parts, frozen, abandon !== undefined, along)
    try {
      await tell(channel, inventory, readyTimeout, signal)
    } finally {
      inventory.close()
    }
    frozen.check()
    const commit: CommitWord = { type: 'commit' }
    await channel.send(commit, [], { timeout: readyTimeout, signal })
  } catch (error) {
    channel.close()
    try {
      await abandon?.()
    } finally {
      frozen.thaw()
      thawed?.()
    }
    throw notReplaced(error)
  }
  frozen.letGo() // whatever fails there, it is the other's
  channel.close()
}

/** Nothing stops before the successor is there. */
async function opened(channel: Channel, timeout: number, signal: AbortSignal): Promise<void> {
  const late = AbortSignal.timeout(timeout)
  const stopped = new Promise<never>((_, reject) => {
    AbortSignal.any([signal, late]).addEventListener('abort', () => {
      reject(signal.reason ?? new HandoverError('ERR_HANDOVER_TIMED_OUT', `no successor within ${timeout} ms`))
    })
  })
  await Promise.race([channel.opened, stopped])
}

async function tell(channel: Channel, inventory: Inventory, timeout: number, signal: AbortSignal): Promise<void> {
  const { description, descriptors } = inventory
  await channel.send(description, [], { timeout, signal })
  for (let from = 0; from < descriptors.length; from += SUCCESSION_BATCH) {
    const word: DescriptorsWord = { type: 'descriptors', from }
    const batch = descriptors.slice(from, from + SUCCESSION_BATCH)
    await channel.send(
      word,
      batch.map((one) => share(one)),
      { timeout, signal },
    )
  }
  const answer = await channel.receive<ReadyWord | FailedWord>({ timeout, signal })
  if (answer === null) throw new HandoverError('ERR_HANDOVER_PEER_GONE', 'the successor ended before it was ready')
  const { message } = answer
  if (message.type === 'failed') throw new HandoverError('ERR_HANDOVER_REFUSED', String(message.message))
  const workers = description.generations.flatMap(({ slots }) => slots).filter(({ things }) => things !== null).length
  const same = message.type === 'ready' && message.workers === workers && message.ports === description.ports.length
  if (same) return
  const made = `${message.workers} workers and ${message.ports} ports of ${workers} and ${description.ports.length}`
  throw new HandoverError('ERR_HANDOVER_REFUSED', `the successor made ${made}`)
}

function notReplaced(cause: unknown): HandoverError {
  if (cause instanceof HandoverError && cause.code === 'ERR_HANDOVER_NOT_REPLACED') return cause
  return new HandoverError('ERR_HANDOVER_NOT_REPLACED', `not replaced: ${(cause as Error).message}`, { cause })
}
