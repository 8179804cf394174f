import net from 'node:net'
import { type Answer, AnswerReader } from './answer.js'
import { now } from './clock.js'
import type { Entry, Ledger } from './ledger.js'
import type { Kind, Loss } from './outcome.js'

/** Milliseconds within which the end of a connection that was idle and its next request are taken to have crossed. */
const RACE = 50
/** Milliseconds that the server has to end a connection on which it was told that there is nothing to follow. */
const LINGER = 1_000

/** Where the requests go. */
export interface Where {
  host: string
  port: number
}

export interface Request {
  id: string
  kind: Kind
  /** What is written, piece by piece, with as many milliseconds between two as `pause` says. */
  pieces: readonly string[]
  pause?: number
  /** @returns why it is not the answer to this request; null: it is */
  judge(answer: Answer): string | null
}

interface Out extends Request {
  began: number
  phase: string
  settle(answered: boolean): void
}

/** Failures of the client's own system. */
const OWN_FAULTS = ['EADDRNOTAVAIL', 'EADDRINUSE', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']

/** What an error of a socket says of a request that is out on it. */
export function outcomeOf(code: string | undefined, connected: boolean, begun: boolean): Loss['outcome'] {
  if (connected) return begun ? 'cut' : 'reset'
  if (code === 'ECONNREFUSED') return 'refused'
  if (code !== undefined && OWN_FAULTS.includes(code)) return 'unsent'
  return code === 'ETIMEDOUT' ? 'hung' : 'reset'
}

/**
 * One connection of a client's, and the requests that are out on it.
 *
 * Invariant: each request that `ask` took is entered into the ledger exactly once, and moved to `twice` at most once.
 */
export class Connection {
  readonly began = now()
  /** The worker that answered last here, as far as it says so. */
  pid: number | null = null
  /** Another request may be sent. */
  usable = true
  #answers = 0
  #connected = false
  #ended = false
  #error: NodeJS.ErrnoException | undefined
  readonly #socket: net.Socket
  readonly #reader = new AnswerReader()
  readonly #out: Out[] = []
  #last: { entry: Entry; out: Out } | null = null

  constructor(
    { host, port }: Where,
    readonly number: number,
    private readonly ledger: Ledger,
    private readonly all: Set<Connection>,
  ) {
    ledger.connections += 1
    all.add(this)
    this.#socket = net.connect({ host, port, noDelay: true })
    this.#socket.on('connect', () => {
      this.#connected = true
    })
    this.#socket.on('data', (bytes: Buffer) => this.#read(bytes))
    this.#socket.on('end', () => this.#end())
    this.#socket.on('error', (error) => {
      this.#error = error
    })
    this.#socket.on('close', () => this.#end())
  }

  /** Sends a request; only while `usable`. @returns whether it was answered as it should be */
  ask(request: Request): Promise<boolean> {
    return new Promise((settle) => {
      this.#out.push({ ...request, began: now(), phase: this.ledger.phase, settle })
      this.#write(request, 0)
    })
  }

  /** One after the other: timers that are late may come in any order. */
  #write({ pieces, pause = 0 }: Pick<Request, 'pieces' | 'pause'>, index: number): void {
    if (index > 0 && !this.#socket.writable) return
    this.#socket.write(pieces[index] ?? '')
    if (index + 1 === pieces.length) return
    setTimeout(() => this.#write({ pieces, pause }, index + 1), pause)
  }

  /** The server has been told that this was all: waits for its end. */
  linger(): void {
    this.usable = false
    if (!this.#ended) setTimeout(() => this.#socket.destroy(), LINGER).unref()
  }

  close(): void {
    this.usable = false
    this.#ended = true
    this.all.delete(this)
    this.#socket.destroy()
  }

  /** Requests that have waited for longer are given up, and their connection with them. */
  giveUp(timeout: number): void {
    const first = this.#out[0]
    if (first === undefined || now() - first.began < timeout) return
    const detail = this.#reader.begun ? 'only part of an answer' : this.#connected ? 'no answer' : 'not connected'
    this.close()
    this.#lose('hung', detail)
  }

  #read(bytes: Buffer): void {
    let answers: Answer[]
    try {
      answers = this.#reader.read(bytes)
    } catch (error) {
      this.close()
      return this.#lose('wrong', (error as Error).message)
    }
    this.pid = Number(this.#reader.header('prove-pid') ?? this.pid ?? Number.NaN) || null
    for (const answer of answers) if (!this.#ended) this.#take(answer)
  }

  #take(answer: Answer): void {
    this.pid = Number(answer.headers.get('prove-pid')) || this.pid
    const id = answer.headers.get('prove-id')
    const out = this.#out[0]
    if (out === undefined || (id !== undefined && id !== out.id && id === this.#last?.out.id))
      return this.#again(answer)
    this.#out.shift()
    const why = out.judge(answer)
    if (why !== null) {
      this.ledger.loss(this.#lossOf(out, 'wrong', why))
      out.settle(false)
      return this.close()
    }
    this.#answers += 1
    if (answer.closes) this.usable = false
    this.#last = { entry: this.ledger.answered(out.kind, out.began), out }
    out.settle(true)
  }

  /** An answer that nobody asked for, or that was here already. */
  #again(answer: Answer): void {
    const last = this.#last
    this.#last = null
    if (last !== null) {
      const id = answer.headers.get('prove-id')
      this.ledger.loss(this.#lossOf(last.out, 'twice', `another answer: ${answer.status} ${id ?? ''}`), last.entry)
    }
    if (this.#out.length === 0) this.close()
  }

  #end(): void {
    if (this.#ended) return
    const answer = this.#reader.end()
    if (answer !== null && this.#out.length > 0) this.#take(answer)
    if (this.#ended) return
    const idle = this.usable && this.#out.length === 0 && this.#answers > 0
    if (idle) this.ledger.idleEnds += 1
    this.close()
    const code = this.#error?.code
    const begun = this.#reader.begun
    const first = this.#out[0]
    const crossed = this.#answers > 0 && !begun && first !== undefined && now() - first.began < RACE
    const outcome = outcomeOf(code, this.#connected, begun)
    this.#lose(outcome === 'reset' && crossed ? 'race' : outcome, code ?? 'the connection was ended')
  }

  /** Only the first of several can have been begun. */
  #lose(outcome: Loss['outcome'], detail: string): void {
    this.#out.splice(0).forEach((out, index) => {
      this.ledger.loss(this.#lossOf(out, index > 0 && outcome === 'cut' ? 'reset' : outcome, detail))
      out.settle(false)
    })
  }

  #lossOf({ id, kind, began, phase }: Out, outcome: Loss['outcome'], detail: string): Loss {
    const { number: connection, began: connectionBegan, pid, ledger } = this
    // Who hung, hung since he asked; all else happened now.
    const during = outcome === 'hung' ? phase : ledger.phase
    return { id, connection, kind, outcome, phase: during, connectionBegan, began, ended: now(), pid, detail }
  }
}
