import type { Channel } from '../channel/channel.js'
import { CONTROL_ANSWERS_MAX, CONTROL_LAST_WORDS, CONTROL_REQUESTS_MAX } from '../limits.js'
import { answerOrphan } from '../supervisor/orphans.js'
import { asOrphan, type DrainOrder } from '../wire/control.js'
import type { Asked, ControlCommand } from './commands.js'
import { failureOf, unsupported } from './failure.js'
import type { WorkerLine } from './line-ring.js'
import { type ControlAnswer, type ControlRequest, requestOf, type Welcome } from './messages.js'

/**
 * One client of a control socket. Owns the channel. What it asked for goes on when it is gone; only nobody hears of it.
 */
export class Session {
  /** Settles when the channel has ended. */
  readonly ended: Promise<void>
  readonly #channel: Channel
  readonly #commands: Readonly<Record<string, ControlCommand>>
  readonly #orphanTime: (() => Promise<number>) | null
  readonly #gone = new AbortController()
  readonly #unsaid = new Set<Promise<void>>()
  readonly #running = new Set<Promise<void>>()

  /** @param orphanTime  milliseconds that workers of a supervisor that was killed have, once that is known; null: never */
  constructor(
    channel: Channel,
    commands: Readonly<Record<string, ControlCommand>>,
    welcome: Welcome,
    orphanTime: (() => Promise<number>) | null = null,
  ) {
    this.#channel = channel
    this.#orphanTime = orphanTime
    this.#commands = commands
    channel.unref() // the workers keep a supervisor alive
    channel.on('refused', () => {}) // the client was told
    this.#say(welcome)
    this.ended = this.#listen()
  }

  /** Whether it has been asked nothing that is not answered. */
  get idle(): boolean {
    return this.#running.size === 0
  }

  /** Says what is to be said, and closes. Who follows something hears that it ends. */
  async close(): Promise<void> {
    this.#gone.abort()
    let late: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => {
      late = setTimeout(resolve, CONTROL_LAST_WORDS)
    })
    await Promise.race([this.#settled(), patience])
    clearTimeout(late)
    this.#channel.close()
    await this.ended
  }

  async #settled(): Promise<void> {
    await Promise.all(this.#running)
    await Promise.all(this.#unsaid)
  }

  async #listen(): Promise<void> {
    try {
      for await (const { message } of this.#channel) this.#hear(message)
    } catch {
      // it broke the protocol, or died: either way it is gone
    }
    this.#gone.abort()
  }

  #hear(message: unknown): void {
    if (this.#orphanTime !== null && asOrphan(message) !== null) return void this.#answerOrphan(message)
    const request = requestOf(message)
    if ('wrong' in request) return this.#say(failureOf(request.id, new TypeError(request.wrong)))
    if (this.#running.size >= CONTROL_REQUESTS_MAX) {
      return this.#say(failureOf(request.id, new Error('this client has asked too much at once: wait for answers')))
    }
    const done = this.#answer(request).finally(() => this.#running.delete(done))
    this.#running.add(done)
  }

  /** A worker of a supervisor that was killed asks what to do. */
  async #answerOrphan(message: unknown): Promise<void> {
    const milliseconds = await this.#orphanTime?.().catch(() => null)
    const order = milliseconds == null ? null : answerOrphan(message, milliseconds)
    if (order !== null) this.#say(order)
  }

  async #answer({ id, command, options }: ControlRequest): Promise<void> {
    try {
      if (!Object.hasOwn(this.#commands, command)) unsupported(`the command ${JSON.stringify(command.slice(0, 60))}`)
      const run = this.#commands[command] as ControlCommand
      const result = await run(this.#asked(id, options))
      this.#say({ type: 'done', id, result: result ?? {} })
    } catch (error) {
      this.#say(failureOf(id, error))
    }
  }

  #asked(id: number, options: Asked['options']): Asked {
    let skipped = 0
    return {
      options,
      gone: this.#gone.signal,
      channel: this.#channel,
      progress: (event, fields) => this.#say({ ...withErrors(fields), type: 'progress', id, event }),
      lines: (lines: readonly WorkerLine[]) => {
        if (lines.length === 0) return
        if (this.#unsaid.size >= CONTROL_ANSWERS_MAX / 2) {
          skipped += lines.length
          return
        }
        this.#say({ type: 'progress', id, event: 'lines', lines, ...(skipped > 0 && { skipped }) })
        skipped = 0
      },
    }
  }

  #say(answer: ControlAnswer | DrainOrder): void {
    if (this.#channel.closed) return
    // Whoever asks and does not listen is nobody to keep answers for.
    if (this.#unsaid.size >= CONTROL_ANSWERS_MAX) return this.#channel.close()
    const said = this.#channel
      .send(answer)
      .catch(() => {}) // the client is gone
      .finally(() => this.#unsaid.delete(said))
    this.#unsaid.add(said)
  }
}

/** JSON has no errors: each is told by its message and its code. */
function withErrors(fields: object = {}): object {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value)]))
}

function plain(value: unknown): unknown {
  if (value instanceof Error) return { message: value.message, code: (value as NodeJS.ErrnoException).code }
  const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  return isPlain ? withErrors(value) : value
}
