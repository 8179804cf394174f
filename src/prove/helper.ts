import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ownModule } from '../own-files.js'
import { Tail } from './tail.js'

interface Call {
  id: number
  name: string
  argument: unknown
}

interface Answered {
  id: number
  value?: unknown
  error?: string
}

/** In a process that `Helper` started: does what it is asked, one answer a call. Ends with the one that started it. */
export function answerCalls(does: Readonly<Record<string, (argument: never) => unknown>>): void {
  process.on('message', async ({ id, name, argument }: Call) => {
    const answer: Answered = { id }
    try {
      answer.value = await does[name]?.(argument as never)
    } catch (error) {
      answer.error = error instanceof Error ? error.message : String(error)
    }
    process.send?.(answer, () => {})
  })
  process.on('disconnect', () => process.exit())
  // The terminal's Ctrl-C is for the one that started this one, which stops it.
  process.on('SIGINT', () => {})
}

/** A process of our own that does what it is asked: `answerCalls` is its other end. */
export class Helper {
  readonly #child: ChildProcess
  readonly #open = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  readonly #ended: Promise<unknown>
  readonly output = new Tail()
  #last = 0

  constructor(module: string, env: NodeJS.ProcessEnv = process.env) {
    const path = fileURLToPath(ownModule(module))
    this.#child = fork(path, [], { env, execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    this.output.follow(this.#child)
    this.#child.on('message', ({ id, value, error }: Answered) => {
      const call = this.#open.get(id)
      this.#open.delete(id)
      if (error === undefined) call?.resolve(value)
      else call?.reject(new Error(error))
    })
    this.#child.on('error', () => {})
    this.#ended = once(this.#child, 'exit').then(([code, signal]) => {
      const error = new Error(`${module} ended (${signal ?? code})\n${this.output.text}`)
      for (const { reject } of this.#open.values()) reject(error)
      this.#open.clear()
    })
  }

  /** @throws {Error} what it threw there, or that it has ended */
  call<Value = void>(name: string, argument: unknown = null): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) return reject(new Error(`it has ended\n${this.output.text}`))
      this.#last += 1
      this.#open.set(this.#last, { resolve: resolve as (value: unknown) => void, reject })
      this.#child.send({ id: this.#last, name, argument } satisfies Call, (error) => {
        if (error !== null) reject(error)
      })
    })
  }

  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await this.#ended
  }
}
