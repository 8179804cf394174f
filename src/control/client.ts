import { resolve } from 'node:path'
import { registerBuiltinBootstraps } from '../bootstrap/builtin.js'
import { connect } from '../bootstrap/connect.js'
import type { Channel } from '../channel/channel.js'
import { HandoverError, SyscallError } from '../errors.js'
import { CONTROL_REACH } from '../limits.js'
import { type ControlAnswer, type Failed, fieldsOf, type Welcome } from './messages.js'

registerBuiltinBootstraps()

/** A supervisor did not do what it was asked for: its own words. */
export class ControlFailure extends Error {
  override readonly name = 'ControlFailure'
  readonly code: string
  readonly hint: string
  /** The class of the failure, as an exit code. */
  readonly exit: number
  /** The last lines of the workers it is about. */
  readonly output: readonly string[]

  constructor({ code, message, hint = '', exit, output = [] }: Failed) {
    super(message)
    this.code = code
    this.hint = hint
    this.exit = exit
    this.output = output
  }
}

/** A step on the way to an answer. */
export type Step = { readonly event: string } & Readonly<Record<string, unknown>>

interface Waiting {
  step(step: Step): void
  resolve(result: unknown): void
  reject(error: Error): void
}

/** The client's end of a control socket. Owns the channel. */
export class ControlClient {
  readonly welcome: Welcome
  /** Settles when the supervisor has closed the socket, or is gone. */
  readonly ended: Promise<void>
  readonly #channel: Channel
  readonly #waiting = new Map<number, Waiting>()
  #last = 0

  private constructor(channel: Channel, welcome: Welcome) {
    this.#channel = channel
    this.welcome = welcome
    this.ended = this.#listen()
  }

  /**
   * Reaches the supervisor behind a socket.
   * @throws {HandoverError} ERR_HANDOVER_NOT_RUNNING: nobody is there; ERR_HANDOVER_CONTROL: it is no control socket, or
   *   somebody else's; ERR_HANDOVER_TIMED_OUT: it does not answer
   */
  static async connect(path: string, timeout = CONTROL_REACH): Promise<ControlClient> {
    const channel = await reached(path, timeout)
    try {
      const first = (await channel.receive({ timeout }))?.message
      const fields = fieldsOf(first)
      if (fields?.type === 'welcome') return new ControlClient(channel, first as Welcome)
    } catch (error) {
      channel.close()
      throw error
    }
    channel.close()
    throw new HandoverError('ERR_HANDOVER_CONTROL', `what listens at ${path} is no supervisor`)
  }

  /** The supervisor's, as it is seen from here; 0: it cannot be. */
  get pid(): number {
    return this.#channel.peer?.pid ?? 0
  }

  /**
   * Asks for something; settles with the answer.
   * @throws {ControlFailure} it was not done; {HandoverError} ERR_HANDOVER_PEER_GONE: the supervisor ended first
   */
  async request<Result>(command: string, options: object = {}, step: (step: Step) => void = () => {}): Promise<Result> {
    const id = ++this.#last
    const answer = new Promise<Result>((resolve, reject) => {
      this.#waiting.set(id, { step, resolve: resolve as (result: unknown) => void, reject })
    })
    answer.catch(() => {}) // it is told below, or by what failed before
    await this.#channel.send({ type: 'request', id, command, options }).catch((error: Error) => {
      throw goneFirst(error)
    })
    return answer
  }

  close(): void {
    this.#channel.close()
  }

  async #listen(): Promise<void> {
    try {
      for await (const { message } of this.#channel) this.#hear(message as ControlAnswer)
    } catch {
      // whoever waits hears of it below
    }
    const gone = goneFirst()
    for (const { reject } of this.#waiting.values()) reject(gone)
    this.#waiting.clear()
  }

  #hear(answer: ControlAnswer): void {
    const { id } = answer as { id?: number }
    const waiting = this.#waiting.get(id ?? 0)
    if (waiting === undefined) return
    if (answer.type === 'progress') return waiting.step(answer)
    this.#waiting.delete(id as number)
    if (answer.type === 'done') waiting.resolve(answer.result)
    else waiting.reject(new ControlFailure(answer as Failed))
  }
}

function goneFirst(cause?: Error): HandoverError {
  return new HandoverError('ERR_HANDOVER_PEER_GONE', 'the supervisor ended before it answered', { cause })
}

async function reached(path: string, timeout: number): Promise<Channel> {
  // Root sees to everybody's supervisors; others trust themselves and root.
  const admit = process.geteuid?.() === 0 ? { admit: () => true } : {}
  try {
    return await connect(`unix:${resolve(path)}`, { timeout, ...admit })
  } catch (error) {
    if (error instanceof SyscallError) {
      const { code } = error
      if (code === 'ENOENT' || code === 'ECONNREFUSED') {
        throw new HandoverError('ERR_HANDOVER_NOT_RUNNING', `no supervisor listens at ${path}`, { cause: error })
      }
      const why = code === 'EACCES' ? 'it belongs to another user' : error.message
      throw new HandoverError('ERR_HANDOVER_CONTROL', `${path} cannot be reached: ${why}`, { cause: error })
    }
    if (error instanceof HandoverError && error.code === 'ERR_HANDOVER_NO_HELLO') {
      throw new HandoverError('ERR_HANDOVER_CONTROL', `the supervisor at ${path} does not let this user in`, {
        cause: error,
      })
    }
    if (error instanceof HandoverError && error.code === 'ERR_HANDOVER_TIMED_OUT') {
      const text = `the supervisor at ${path} does not answer: its event loop is blocked, or it is stopped`
      throw new HandoverError('ERR_HANDOVER_TIMED_OUT', text, { cause: error })
    }
    throw error
  }
}
