import type { Packed } from '../../channel/packing.js'
import { onStop, type StopOptions } from '../../channel/stop.js'
import { rendezvous } from '../../dispatch/rendezvous.js'
import { HandoverError } from '../../errors.js'
import { RELAY_CROWD } from '../../limits.js'
import type { HandOverMessage } from '../../wire/control.js'
import { Outcome } from '../../wire/offer.js'
import { RelayEnd, type Relayed } from './relay-end.js'

/** What a relay needs of the supervisor. */
export interface RelayOwner {
  /** Whether connections may go to this place. */
  serves(place: object): boolean
  /** The ports that this place listens on. */
  portsOf(place: object): readonly number[]
  /** The master itself is to have it. */
  take(relayed: Relayed): void
}

/**
 * Hands live connections from one worker to another. The worker that offers one has it until another has claimed it; the
 * master only asks one after the other, and passes the answer on.
 *
 * Invariants: a connection is offered to one worker at a time; it is answered once; the master's copy is open until
 * then, so that neither worker's death loses it.
 */
export class Relay {
  readonly #owner: RelayOwner
  readonly #ends = new Set<RelayEnd>()

  constructor(owner: RelayOwner) {
    this.#owner = owner
  }

  /** An end for a worker that is about to be started. */
  end(number: number, place: object): RelayEnd {
    return new RelayEnd(number, place, {
      offered: (relayed) => this.#next(relayed),
      refused: (relayed) => this.#next(relayed),
    })
  }

  /** The worker is started. */
  join(end: RelayEnd): void {
    this.#ends.add(end)
  }

  /** The worker's channel is gone. */
  leave(end: RelayEnd): void {
    this.#ends.delete(end)
    end.lost()
  }

  /** Connections of all workers. */
  get load(): number {
    let load = 0
    for (const end of this.#ends) load += end.load
    return load
  }

  /**
   * Hands over what is the master's own. Settles as `Supervisor.handOver` does.
   * @param check  asked when its output is sent, which may take a while; throws what is in the way
   */
  give(
    message: HandOverMessage,
    pack: () => Packed | Promise<Packed>,
    stop: StopOptions,
    check: () => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      let stopped: { reason: unknown } | null = null
      let relayed: Relayed | null = null
      const end = onStop(stop, (reason) => {
        stopped = { reason }
        if (relayed === null) return // it is told when it is as before
        relayed.withdrawn = true
        relayed.recall?.(new HandoverError('ERR_HANDOVER_RETURNED', 'withdrawn'))
      })
      const begin = (packed: Packed): void => {
        try {
          check()
        } catch (error) {
          packed.settle(false)
          return failed(error)
        }
        relayed = {
          message,
          ...packed,
          from: null,
          tried: new Set(),
          why: '',
          withdrawn: stopped !== null,
          recall: null,
          settle: (outcome, reason) => {
            end()
            packed.settle(outcome === Outcome.claimed)
            if (outcome === Outcome.claimed) resolve()
            else reject(stopped === null ? new HandoverError('ERR_HANDOVER_REFUSED', reason) : stopped.reason)
          },
        }
        this.#next(relayed)
      }
      const failed = (error: unknown): void => {
        end()
        reject(stopped === null ? error : stopped.reason)
      }
      try {
        const packed = pack()
        if (packed instanceof Promise) packed.then(begin, failed)
        else begin(packed)
      } catch (error) {
        failed(error)
      }
    })
  }

  #next(relayed: Relayed): void {
    if (relayed.withdrawn) return relayed.settle(Outcome.returned, 'as asked')
    if (relayed.message.to?.master === true) return this.#owner.take(relayed)
    const end = this.#choose(relayed)
    if (end !== null) return end.offer(relayed)
    relayed.settle(Outcome.refused, relayed.why || nobody(relayed))
  }

  /** Whoever is not the one that has it, has not refused it, and takes it: the one with the fewest connections. */
  #choose({ message, from, tried }: Relayed): RelayEnd | null {
    const { as, ports = [], to = {} } = message
    let candidates = [...this.#ends].filter(
      (end) => end !== from && !tried.has(end) && this.#owner.serves(end.place) && end.canTake(as),
    )
    if (as === undefined) candidates = candidates.filter((end) => this.#listens(end, ports))
    if (to.worker !== undefined) candidates = candidates.filter(({ id }) => id === to.worker)
    else candidates = ofGroup(candidates, to.group, from, as !== undefined)
    if (to.key !== undefined) return candidates[rendezvous(to.key, candidates)] ?? null
    // One that is stuck is better than nobody: it may be starting, and the connection waits for it as for any worker.
    const prompt = candidates.filter((end) => end.isPrompt)
    const [first = null, ...others] = prompt.length > 0 ? prompt : candidates
    return others.reduce((best, end) => (best === null || isFreer(end, best) ? end : best), first)
  }

  #listens(end: RelayEnd, ports: readonly number[]): boolean {
    const own = this.#owner.portsOf(end.place)
    return ports.some((port) => own.includes(port))
  }
}

/**
 * Whether it has fewer connections; or, where many are on their way, fewer of those: one that has just got stuck, and is
 * not known to be, does not get all that is left of the sender's window.
 */
function isFreer(one: RelayEnd, other: RelayEnd): boolean {
  const [crowd, others] = [one, other].map(({ pending }) => (pending < RELAY_CROWD ? 0 : pending)) as [number, number]
  return crowd === others ? one.load < other.load : crowd < others
}

/**
 * Those of a group. Where none is named, those of the same one; and where the name of a handler says what is meant, any
 * if there are none of these.
 */
function ofGroup(candidates: RelayEnd[], group: string | undefined, from: RelayEnd | null, named: boolean): RelayEnd[] {
  const own = candidates.filter((end) => end.group === (group ?? from?.group ?? null))
  return group === undefined && own.length === 0 && (named || from === null) ? candidates : own
}

/** Why nobody was asked. */
function nobody({ message: { as, to = {} } }: Relayed): string {
  const who =
    to.worker !== undefined
      ? `worker ${to.worker}`
      : to.group !== undefined
        ? `no other worker of group ${JSON.stringify(to.group)}`
        : 'no other worker'
  const what = as === undefined ? 'that listens on its port' : `that takes ${JSON.stringify(as)}`
  return to.worker !== undefined ? `${who} is none ${what} and has room` : `${who} ${what} has room`
}
