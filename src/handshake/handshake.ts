import { dropped } from '../diagnostics.js'
import { FIRST_LOOK_BYTES, LOOKS_MAX } from '../limits.js'
import { close } from '../syscalls/descriptor.js'
import { recvmsg, WOULD_BLOCK } from '../syscalls/message.js'
import { EVERY_TIME, READY, ReadyQueue } from '../syscalls/ready.js'
import { READABLE, Watcher } from '../syscalls/watch.js'
import { arrivalNote } from '../transport/arrival-note.js'
import type { Arrivals } from '../transport/arrivals.js'
import { Alarm } from './alarm.js'
import { Candidate } from './candidate.js'
import { Farewells } from './farewell.js'
import { type Judged, judge } from './judge.js'
import { firstLooks, type Look, nextLooks } from './look.js'
import type { SettledHandshake } from './options.js'
import type { HandshakeOwner } from './owner.js'
import type { Setback } from './setback.js'
import type { Header, Refusal, Route } from './verdict.js'

export type { HandshakeOwner, Setback }

/**
 * Connections between accept(2) and the choice of a target, while it is looked at what their clients say.
 *
 * Invariants: not a byte is taken from a connection but the headers of proxies; an undecided connection is decided, given
 * up or gone within its time, and there are never more than the options say; whoever is undecided holds no worker. A
 * connection is handed over or closed once, also when inspections and listeners come back here, or close it all.
 */
export class Handshake {
  readonly #options: SettledHandshake
  readonly #owner: HandshakeOwner
  /** Oldest first. */
  readonly #undecided = new Map<number, Candidate>()
  readonly #queue = new ReadyQueue()
  readonly #watcher: Watcher
  readonly #farewells: Farewells
  readonly #alarm = new Alarm(() => this.#expire())
  /** Those of the batch that is being looked at. */
  #admitting: readonly Candidate[] = []
  #closed = false

  /** @throws {SyscallError} EMFILE, ENFILE: no descriptor for the queue of the kernel's */
  constructor(options: SettledHandshake, owner: HandshakeOwner) {
    this.#options = options
    this.#owner = owner
    this.#watcher = this.#watchQueue()
    this.#farewells = new Farewells(
      (descriptor) => this.#queue.arm(descriptor, READY.readable | EVERY_TIME),
      (descriptor) => this.#queue.disarm(descriptor),
    )
  }

  /** Connections that are undecided now. */
  get count(): number {
    return this.#undecided.size
  }

  /** Reads nothing and gives nobody up from now on, or goes on. */
  hold(held: boolean): void {
    if (this.#closed) return
    this.#watcher.watch(held ? 0 : READABLE)
    if (held) this.#alarm.clear()
    else this.#expire()
  }

  /** Those that are undecided now. Borrowed. */
  get undecided(): Candidate[] {
    return [...this.#undecided.values()]
  }

  /** Looks at connections that were just accepted. Takes all rows. */
  admit(batch: Arrivals, count: number): void {
    const outer = this.#admitting
    for (const candidate of outer) candidate.leaveBatch() // an inspection led here: theirs was filled again
    const now = performance.now()
    const { inspect, bytes } = this.#options
    const candidates = Array.from({ length: count }, (_, i) => new Candidate(batch, i, inspect, now))
    const size = Math.min(FIRST_LOOK_BYTES, bytes)
    this.#admitting = candidates
    firstLooks.lend((look) => {
      look.at(candidates, size)
      for (let i = 0; i < count; i++) {
        const candidate = candidates[i] as Candidate
        const undecided = this.#heard(candidate, look, i)
        if (undecided && look.isFull(i) && size < bytes) this.#lookAgain(candidate)
        else if (undecided) this.#wait(candidate)
        candidate.leaveBatch()
      }
    })
    this.#admitting = outer
    this.#owner.settled()
  }

  /** Gives up the oldest, as there is no room for more. @returns whether there was one */
  shed(reason = 'too many were undecided'): boolean {
    for (const candidate of this.#undecided.values()) {
      this.#giveUp(candidate, 'crowded out', reason)
      return true
    }
    return false
  }

  /** Closes everything that is undecided. Closing twice does nothing. */
  close(): void {
    if (this.#closed) return
    for (const candidate of [...this.#undecided.values()]) this.#gone(candidate)
    this.#farewells.close()
    this.#closed = true
    this.#alarm.clear()
    this.#watcher.close()
    close(this.#queue.descriptor)
  }

  #watchQueue(): Watcher {
    try {
      const watcher = new Watcher(this.#queue.descriptor, () => this.#ready())
      watcher.referenced = false // the port keeps the process alive, or nothing does
      watcher.watch(READABLE)
      return watcher
    } catch (error) {
      close(this.#queue.descriptor)
      throw error
    }
  }

  #ready(): void {
    // Who is meant is found out first: what inspections do may give a number to another connection.
    const reported: [Candidate, number][] = []
    this.#queue.take((descriptor, events) => {
      const candidate = this.#undecided.get(descriptor)
      if (candidate === undefined) this.#farewells.heard(descriptor)
      else reported.push([candidate, events])
    })
    for (const [candidate, events] of reported) {
      if (candidate.taken) continue
      // An error or the end of both directions is reported as all events there are, whatever was asked for.
      if ((events & READY.writable) !== 0 && candidate.hasFailed) this.#gone(candidate)
      else {
        candidate.hungUp ||= (events & READY.urgent) !== 0
        this.#lookAgain(candidate)
      }
    }
    this.#owner.settled()
  }

  #lookAgain(candidate: Candidate): void {
    candidate.looks += 1
    if (candidate.looks > LOOKS_MAX) {
      return this.#giveUp(candidate, 'too long', `it came in more than ${LOOKS_MAX} pieces`)
    }
    const undecided = nextLooks.lend((look) => {
      look.at([candidate], this.#options.bytes)
      return this.#heard(candidate, look, 0)
    })
    if (undecided) this.#wait(candidate)
  }

  /** @returns whether it is undecided still */
  #heard(candidate: Candidate, look: Look, index: number): boolean {
    const length = look.length(index)
    if (length === WOULD_BLOCK) return true
    candidate.ended = candidate.hungUp && !look.isFull(index)
    if (length > 0 && !this.#closed) return !this.#decide(candidate, look.bytes(index))
    this.#gone(candidate) // its client has gone: nobody is told
    return false
  }

  /** @returns false: more must come */
  #decide(candidate: Candidate, bytes: Buffer): boolean {
    let rest = bytes
    while (candidate.ended || rest.length >= candidate.more) {
      const verdict = judge(candidate, rest, this.#options.groups)
      if (candidate.taken || this.#closed) {
        this.#gone(candidate)
        return true
      }
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
    candidate.unseen = true
    if (next === null) this.#decided(candidate, {})
    else candidate.inspect = next
    return next !== null
  }

  #wait(candidate: Candidate): void {
    if (this.#closed) return this.#gone(candidate)
    if (candidate.watched && !candidate.unseen) return
    if (!candidate.watched && this.#undecided.size >= this.#options.undecided) this.shed()
    try {
      this.#queue.arm(candidate.descriptor, READY.readable | EVERY_TIME)
    } catch (error) {
      return this.#giveUp(candidate, 'crowded out', `it cannot be watched (${(error as Error).message})`)
    }
    candidate.unseen = false
    candidate.watched = true
    this.#undecided.set(candidate.descriptor, candidate)
    this.#alarm.setFor(candidate.since + this.#options.time)
  }

  #decided(candidate: Candidate, route: Route): void {
    if (this.#closed) return this.#gone(candidate)
    if (this.#take(candidate)) this.#owner.decided(candidate.descriptor, arrivalNote(route, candidate.proxied))
  }

  #refuse(candidate: Candidate, { refuse }: Refusal): void {
    dropped(1, 'turned away')
    const words = typeof refuse === 'string' ? Buffer.from(refuse) : refuse
    if (this.#closed || words.length === 0) return this.#gone(candidate)
    if (!this.#take(candidate)) return
    this.#farewells.say(candidate.descriptor, words)
    this.#alarm.setFor(this.#farewells.deadline)
  }

  #giveUp(candidate: Candidate, setback: Setback, reason: string): void {
    this.#owner.setback(setback, reason, candidate)
    const { otherwise } = this.#options
    if (otherwise === 'close') this.#refuse(candidate, { refuse: '' })
    else if ('refuse' in otherwise) this.#refuse(candidate, otherwise)
    else this.#decided(candidate, otherwise)
  }

  #gone(candidate: Candidate): void {
    if (this.#take(candidate)) close(candidate.descriptor)
  }

  /**
   * Before it is closed or handed over: the kernel would go on reporting it while anybody has it.
   * @returns false: that has happened already
   */
  #take(candidate: Candidate): boolean {
    if (candidate.taken) return false
    candidate.taken = true
    if (!candidate.watched) return true
    this.#undecided.delete(candidate.descriptor)
    this.#queue.disarm(candidate.descriptor)
    return true
  }

  #expire(): void {
    const now = performance.now()
    this.#farewells.expire(now)
    let next = this.#farewells.deadline
    for (const candidate of this.#undecided.values()) {
      const deadline = candidate.since + this.#options.time
      if (now < deadline) {
        next = Math.min(next, deadline)
        break
      }
      this.#lookAgain(candidate) // what came while this process stood still, or was held, is heard
      if (!candidate.taken) this.#giveUp(candidate, 'late', `nothing could be decided within ${this.#options.time} ms`)
    }
    if (!this.#closed) this.#alarm.setFor(next)
    this.#owner.settled()
  }
}
