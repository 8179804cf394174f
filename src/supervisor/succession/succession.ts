import { wholeMilliseconds } from '../../arguments.js'
import type { Channel } from '../../channel/channel.js'
import { HandoverError } from '../../errors.js'
import { guarded } from '../../guarded.js'
import type { Descriptor } from '../../sendmsg/descriptor.js'
import type { SettledOptions } from '../options.js'
import { checkTimes, type HandOverToOptions, handOverTo } from './hand-over-to.js'
import type { Parts } from './parts.js'
import { takeOver } from './take-over.js'

/** What a supervisor says of itself, and is told. */
export interface SuccessionOwner {
  readonly options: SettledOptions
  /** What runs on timers: it starts when this process takes over, and stops when another has. */
  readonly parts: readonly { start(): void; stop(): void; resumed?(): void }[]
  /** It was started, and not stopped. */
  runs(): boolean
  /** It is another's now. */
  succeeded(pid: number): void
}

/** Whether a supervisor is its own still, is being handed over, or is another's. */
export class Succession {
  readonly #parts: Parts
  readonly #owner: SuccessionOwner
  #underWay: { readonly stop: AbortController; readonly done: Promise<unknown> } | null = null
  #replaced = false

  constructor(parts: Parts, owner: SuccessionOwner) {
    this.#parts = parts
    this.#owner = owner
  }

  /** @throws {HandoverError} ERR_HANDOVER_REPLACED: it is another's, or may be in a moment */
  check(): void {
    if (this.#replaced) throw new HandoverError('ERR_HANDOVER_REPLACED', 'another process has replaced this supervisor')
    if (this.#underWay !== null) throw new HandoverError('ERR_HANDOVER_REPLACED', 'this supervisor is being replaced')
  }

  /** Does something now, or when it is known that no other process takes its place. */
  pass(work: () => void): void {
    this.#parts.slotOwner.gate.pass(work)
  }

  /**
   * Stops it, unless it is another's: what is under way is ended first.
   * @throws {TypeError | RangeError} no time that a timer can wait: nothing is stopped
   */
  end(milliseconds: number, stop: () => Promise<void>): Promise<void> {
    wholeMilliseconds('milliseconds', milliseconds)
    return this.#underWay === null && !this.#replaced ? stop() : this.#cancel(stop)
  }

  async #cancel(stop: () => Promise<void>): Promise<void> {
    this.#underWay?.stop.abort(new HandoverError('ERR_HANDOVER_STOPPED', 'it is being stopped'))
    await this.#underWay?.done.catch(() => {})
    if (!this.#replaced) await stop()
  }

  /** @see Supervisor.handOverTo */
  async handOverTo(channel: Channel, options: HandOverToOptions): Promise<void> {
    orClose(channel, () => {
      checkTimes(options)
      this.#checkMovable()
    })
    const stop = new AbortController()
    const done = handOverTo(this.#parts, channel, options, stop.signal)
    this.#underWay = { stop, done }
    try {
      await done
      this.#replaced = true
    } finally {
      this.#underWay = null
    }
    // Whoever rejects now is taken for the one that goes on.
    for (const part of this.#owner.parts) guarded(() => part.stop())
    guarded(() => this.#owner.succeeded(channel.peer?.pid ?? 0))
  }

  #checkMovable(): void {
    this.check()
    const { options } = this.#owner
    if (!this.#owner.runs()) {
      throw new HandoverError('ERR_HANDOVER_STOPPED', 'a supervisor that does not run cannot be replaced')
    }
    if (options.threads) throw notNow('its workers are threads, which end with this process')
    if (!this.#parts.startUp.isOver) throw notNow('no worker of it listens yet')
    const { underWay } = this.#parts.generations
    if (underWay !== null) throw notNow(underWay)
  }

  /** @see Supervisor.takeOver */
  async takeOver(channel: Channel): Promise<Map<string, Descriptor>> {
    const { options } = this.#owner
    orClose(channel, () => {
      if (options.threads) throw new TypeError('threads: workers that are taken over are processes')
    })
    this.#parts.startUp.ready()
    const along = await takeOver(this.#parts, channel, () => this.#parts.ports.keepListening(options.listen))
    for (const part of this.#owner.parts) {
      part.start()
      part.resumed?.()
    }
    this.#parts.tickets?.start()
    return along
  }
}

/** Closes the channel if something throws. */
export function orClose<Result>(channel: Channel, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    channel.close()
    throw error
  }
}

function notNow(why: string): HandoverError {
  return new HandoverError('ERR_HANDOVER_NOT_REPLACED', why)
}
