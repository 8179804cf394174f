import { ACCEPT_BATCH_MAX, FIRST_LOOK_BYTES, HANDSHAKE_BYTES_MAX, LOOKS_MAX } from '../limits.js'
import { close } from '../syscalls/descriptor.js'
import { recvmsg, WOULD_BLOCK } from '../syscalls/message.js'
import { peek } from '../syscalls/peek.js'
import { EVERY_TIME, READY, ReadyQueue } from '../syscalls/ready.js'
import { READABLE, Watcher } from '../syscalls/watch.js'
import { type ArrivalNote, arrivalNote } from '../transport/arrival-note.js'
import type { Arrivals } from '../transport/arrivals.js'
import { Candidate } from './candidate.js'
import { Farewells } from './farewell.js'
import { type Judged, judge } from './judge.js'
import type { SettledHandshake } from './options.js'
import type { Header, Refusal, Route } from './verdict.js'

/** Why a connection did not get to a worker, or not where it asked for. */
export type Setback = 'refused' | 'late' | 'too long' | 'crowded out' | 'broken off' | 'inspection failed'

/** Who hands over what is decided. */
export interface HandshakeOwner {
  /** Gives the descriptor. */
  decided(descriptor: number, note: ArrivalNote): void
  /** All that could be decided for now is. */
  settled(): void
  /** Something else became of a connection; what `otherwise` says follows. Clients that just went are not told of. */
  setback(setback: Setback, reason: string, connection: Candidate): void
}

/** Filled and read within one turn: one is enough for a thread. */
const firstBytes = Buffer.allocUnsafeSlow(ACCEPT_BATCH_MAX * FIRST_LOOK_BYTES)
const descriptors = new Int32Array(ACCEPT_BATCH_MAX)
const lengths = new Int32Array(ACCEPT_BATCH_MAX)
const one = new Int32Array(1)
const length = new Int32Array(1)
let allBytes: Buffer | null = null

/**
 * Connections between accept(2) and the choice of a target, while it is looked at what their clients say.
 *
 * Invariants: not a byte is taken from a connection but the headers of proxies; an undecided connection is decided, given
 * up or gone within its time, and there are never more than the options say; whoever is undecided holds no worker.
 */
export class Handshake {
  readonly #options: SettledHandshake
  readonly #owner: HandshakeOwner
  /** Oldest first. */
  readonly #undecided = new Map<number, Candidate>()
  readonly #queue = new ReadyQueue()
  readonly #watcher: Watcher
  readonly #farewells: Farewells
  #timer: NodeJS.Timeout | null = null
  #timerAt = Number.POSITIVE_INFINITY

  /** @throws {SyscallError} EMFILE, ENFILE: no descriptor for the queue of the kernel's */
  constructor(options: SettledHandshake, owner: HandshakeOwner) {
    this.#options = options
    this.#owner = owner
    this.#watcher = new Watcher(this.#queue.descriptor, () => this.#ready())
    this.#watcher.referenced = false // the port keeps the process alive, or nothing does
    this.#watcher.watch(READABLE)
    this.#farewells = new Farewells(
      (descriptor) => this.#watch(descriptor),
      (descriptor) => this.#queue.disarm(descriptor),
    )
  }

  /** Connections that are undecided now. */
  get count(): number {
    return this.#undecided.size
  }

  /** Looks at connections that were just accepted. Takes all rows. */
  admit(batch: Arrivals, count: number): void {
    for (let i = 0; i < count; i++) descriptors[i] = batch.descriptor(i)
    peek(descriptors, count, firstBytes, FIRST_LOOK_BYTES, lengths)
    const now = performance.now()
    for (let i = 0; i < count; i++) {
      const candidate = new Candidate(batch, i, this.#options.inspect, now)
      const start = i * FIRST_LOOK_BYTES
      this.#heard(candidate, lengths[i] as number, firstBytes, start, FIRST_LOOK_BYTES)
      candidate.leaveBatch()
    }
    this.#owner.settled()
  }

  /** Gives up the oldest, as there is no room for more. @returns whether there was one */
  shed(): boolean {
    for (const candidate of this.#undecided.values()) {
      this.#giveUp(candidate, 'crowded out', 'too many were undecided')
      return true
    }
    return false
  }

  /** Closes everything that is undecided. */
  close(): void {
    for (const { descriptor } of this.#undecided.values()) close(descriptor)
    this.#undecided.clear()
    this.#farewells.close()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#watcher.close()
    close(this.#queue.descriptor)
  }

  #ready(): void {
    this.#queue.take((descriptor, events) => {
      if (this.#farewells.has(descriptor)) return this.#farewells.heard(descriptor)
      const candidate = this.#undecided.get(descriptor)
      if (candidate === undefined) return
      // An error or the end of both directions is reported as all events there are, whatever was asked for.
      if ((events & READY.writable) !== 0) this.#gone(candidate)
      else this.#lookAgain(candidate, (events & READY.urgent) !== 0)
    })
    this.#owner.settled()
  }

  #lookAgain(candidate: Candidate, ended: boolean): void {
    candidate.ended ||= ended
    candidate.looks += 1
    if (candidate.looks > LOOKS_MAX) {
      return this.#giveUp(candidate, 'too long', `it came in more than ${LOOKS_MAX} pieces`)
    }
    allBytes ??= Buffer.allocUnsafeSlow(HANDSHAKE_BYTES_MAX)
    const size = this.#options.bytes
    one[0] = candidate.descriptor
    peek(one, 1, allBytes, size, length)
    this.#heard(candidate, length[0] as number, allBytes, 0, size)
  }

  /** @param count  what peek gave; `size` is the most it could have given */
  #heard(candidate: Candidate, count: number, buffer: Buffer, start: number, size: number): void {
    if (count === WOULD_BLOCK) return this.#wait(candidate)
    if (count <= 0) return this.#gone(candidate) // its client has gone: nobody is told
    const decided = this.#decide(candidate, buffer.subarray(start, start + count))
    if (decided) return
    if (count === size && size < this.#options.bytes) this.#lookAgain(candidate, false)
    else this.#wait(candidate)
  }

  /** @returns false: more must come */
  #decide(candidate: Candidate, bytes: Buffer): boolean {
    let rest = bytes
    while (candidate.ended || rest.length >= candidate.more) {
      const verdict = judge(candidate, rest)
      switch (verdict.kind) {
        case 'route':
          this.#decided(candidate, verdict.route)
          return true
        case 'refusal':
          this.#owner.setback('refused', verdict.refusal.reason ?? 'refused', candidate)
          this.#refuse(candidate, verdict.refusal)
          return true
        case 'failed':
          this.#giveUp(candidate, 'inspection failed', verdict.reason)
          return true
        case 'header':
          if (!this.#readHeader(candidate, verdict.header)) return true
          rest = rest.subarray(verdict.header.header)
          if (rest.length > 0) continue
          if (candidate.ended) this.#gone(candidate)
          return candidate.ended
        case 'more':
          return this.#askedForMore(candidate, verdict, rest.length)
      }
    }
    return false
  }

  #askedForMore(candidate: Candidate, { more }: Judged & { kind: 'more' }, there: number): boolean {
    const wanted = Math.max(more, there + 1)
    if (candidate.ended) this.#giveUp(candidate, 'broken off', `the client ended after ${there} bytes`)
    else if (wanted > this.#options.bytes) {
      this.#giveUp(candidate, 'too long', `${wanted} bytes were to be seen, where ${this.#options.bytes} are allowed`)
    } else {
      candidate.more = wanted
      return false
    }
    return true
  }

  /** Takes exactly the bytes of a header. @returns whether the connection goes on being looked at */
  #readHeader(candidate: Candidate, { header, proxied, next }: Header): boolean {
    const count = recvmsg(candidate.descriptor, Buffer.allocUnsafe(header), 0, 0)
    if (count !== header) {
      this.#gone(candidate)
      return false
    }
    candidate.proxied = proxied ?? candidate.proxied
    candidate.more = 1
    if (next === null) this.#decided(candidate, {})
    else candidate.inspect = next
    return next !== null
  }

  #wait(candidate: Candidate): void {
    if (candidate.watched) return
    if (this.#undecided.size >= this.#options.undecided) this.shed()
    candidate.watched = true
    this.#undecided.set(candidate.descriptor, candidate)
    this.#watch(candidate.descriptor)
    this.#wakeAt(candidate.since + this.#options.time)
  }

  #watch(descriptor: number): void {
    this.#queue.arm(descriptor, READY.readable | EVERY_TIME)
    this.#wakeAt(this.#farewells?.deadline ?? Number.POSITIVE_INFINITY)
  }

  #decided(candidate: Candidate, route: Route): void {
    this.#forget(candidate)
    this.#owner.decided(candidate.descriptor, arrivalNote(route, candidate.proxied))
  }

  #refuse(candidate: Candidate, { refuse }: Refusal): void {
    this.#forget(candidate)
    const words = typeof refuse === 'string' ? Buffer.from(refuse) : refuse
    if (words.length === 0) close(candidate.descriptor)
    else this.#farewells.say(candidate.descriptor, words)
  }

  #giveUp(candidate: Candidate, setback: Setback, reason: string): void {
    this.#owner.setback(setback, reason, candidate)
    const { otherwise } = this.#options
    if (otherwise === 'close') this.#gone(candidate)
    else if ('refuse' in otherwise) this.#refuse(candidate, otherwise)
    else this.#decided(candidate, otherwise)
  }

  #gone(candidate: Candidate): void {
    this.#forget(candidate)
    close(candidate.descriptor)
  }

  /** Before it is closed or handed over: the kernel would go on reporting it while anybody has it. */
  #forget(candidate: Candidate): void {
    if (!candidate.watched) return
    this.#undecided.delete(candidate.descriptor)
    this.#queue.disarm(candidate.descriptor)
  }

  /** One timer for all: what came first is late first. */
  #wakeAt(when: number): void {
    if (when >= this.#timerAt) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timerAt = when
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, when - performance.now())).unref()
  }

  #expire(): void {
    this.#timer = null
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = performance.now()
    this.#farewells.expire(now)
    let next = this.#farewells.deadline
    for (const candidate of this.#undecided.values()) {
      const deadline = candidate.since + this.#options.time
      if (now < deadline) {
        next = Math.min(next, deadline)
        break
      }
      this.#giveUp(candidate, 'late', `nothing could be decided within ${this.#options.time} ms`)
    }
    if (next < Number.POSITIVE_INFINITY) this.#wakeAt(next)
    this.#owner.settled()
  }
}
