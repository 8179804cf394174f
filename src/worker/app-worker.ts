import { EventEmitter } from 'node:events'
import { EARLY_MESSAGES_MAX, MESSAGES_LEAVE_FREE } from '../limits.js'
import type { FromWorker, ProgramMessage } from '../wire/control.js'
import { checkMessage } from '../wire/program-message.js'

/** What a worker hears of others. */
export interface AppWorkerEvents {
  /**
   * A message: of the master (`Supervisor.send`, `broadcast`), or of the worker `from`. As with `process.on('message')` of
   * a child, listening keeps the process alive, until it is told to drain; what comes before is kept, the last 256.
   */
  message: [message: unknown, from: number | null]
}

/** What an `AppWorker` needs of the link to its master. */
export interface AppLink {
  /** @throws {HandoverError} ERR_HANDOVER_CLOSED, _OUTBOX_FULL */
  send(word: FromWorker, spare: number): void
  /** Whether the program listens to messages has changed. */
  countReferences(): void
}

/** This worker, as the program itself sees it: who it is, and messages to and from its master. */
export class AppWorker extends EventEmitter<AppWorkerEvents> {
  /** Its place, from 1; a successor has the same. */
  readonly id: number
  /** Of which generation it is, from 1. */
  readonly generation: number
  /** Its group; null: none. */
  readonly group: string | null
  /** Of this process; a thread has that of the master. */
  readonly pid: number
  readonly #link: AppLink
  /** What came while the program did not listen. */
  readonly #waiting: [message: unknown, from: number | null][] = []

  /** For the link; programs find theirs as `worker`. */
  constructor(link: AppLink, env: NodeJS.ProcessEnv) {
    super()
    this.#link = link
    this.id = Number(env.HANDOVER_WORKER ?? 0)
    this.generation = Number(env.HANDOVER_GENERATION ?? 0)
    this.group = env.HANDOVER_GROUP ?? null
    this.pid = process.pid
    this.#watch(this)
  }

  /** Its own events are no business of the program's types. */
  #watch(listeners: EventEmitter): void {
    listeners.on('newListener', (name) => {
      if (name === 'message') queueMicrotask(() => this.#listened())
    })
    listeners.on('removeListener', () => this.#link.countReferences())
  }

  /** Whether the program listens to messages. */
  get listens(): boolean {
    return this.listenerCount('message') > 0
  }

  /**
   * Says that the program is ready, for masters that wait for it (`readiness: { explicit: true }`).
   * @throws {HandoverError} ERR_HANDOVER_CLOSED: the master is gone
   */
  ready(): void {
    this.#link.send({ type: 'appReady' }, 0)
  }

  /**
   * Sends JSON to the master, whose `message` event has it. Messages arrive once and in order, or not at all if either ends.
   * @throws {TypeError | RangeError} JSON cannot say it, or in more than 65,280 bytes; {HandoverError}
   *   ERR_HANDOVER_CLOSED: the master is gone; ERR_HANDOVER_OUTBOX_FULL: it does not read
   */
  send(message: unknown): void {
    this.#link.send({ type: 'message', message: checkMessage(message) }, MESSAGES_LEAVE_FREE)
  }

  /**
   * Sends JSON to all other workers of the current generation, through the master. One that does not read is left out.
   * @throws as `send`
   */
  broadcast(message: unknown): void {
    this.#link.send({ type: 'broadcast', message: checkMessage(message) }, MESSAGES_LEAVE_FREE)
  }

  /** For the link: a message has come. What a listener throws is uncaught, as in any callback. */
  hear({ message, from }: ProgramMessage): void {
    this.#waiting.push([message, from ?? null])
    if (this.#waiting.length > EARLY_MESSAGES_MAX) this.#waiting.shift()
    this.#deliver()
  }

  #deliver(): void {
    while (this.listens) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.emit('message', ...next)
    }
  }

  #listened(): void {
    this.#link.countReferences()
    this.#deliver()
  }
}
