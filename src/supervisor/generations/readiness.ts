import { setTimeout as delay } from 'node:timers/promises'
import { whenHeard } from '../../awake.js'
import type { PortRegistry } from '../ports/port-registry.js'
import { askCommand, type CommandSetting } from './command-probe.js'
import type { SettledReadiness } from './generation-options.js'
import { askWorker } from './http-probe.js'
import { NoRoom } from './probe-connection.js'

/** The questions whether new workers are ready, or healthy. */
export class Questions {
  readonly #readiness: SettledReadiness
  readonly #setting: CommandSetting
  readonly #ports: PortRegistry
  readonly #over = new AbortController()
  #why = 'nobody has asked yet'

  /** @param setting  whom they are about */
  constructor(readiness: SettledReadiness, setting: CommandSetting, ports: PortRegistry) {
    this.#readiness = readiness
    this.#setting = setting
    this.#ports = ports
  }

  /** Whether there are any. */
  get any(): boolean {
    return this.#readiness.http !== null || this.#readiness.command !== null
  }

  /** What the last answer lacked. */
  get why(): string {
    return this.#why
  }

  /** Asks until every answer is good and calls `good` then; never after `stop`. */
  async untilGood(good: () => void): Promise<void> {
    while (!this.#over.signal.aborted) {
      const bad = await this.#ask(false)
      if (this.#over.signal.aborted) return
      if (bad === null) return good()
      this.#why = bad
      await this.#pause()
    }
  }

  /** Asks again and again, until an answer is bad, and calls `bad` then with why; never after `stop`. */
  async untilBad(bad: (why: string) => void): Promise<void> {
    while (!this.#over.signal.aborted) {
      await this.#pause()
      const why = await this.#ask(true)
      if (why !== null && !this.#over.signal.aborted) return bad(why)
    }
  }

  /** Ends what is being asked. */
  stop(): void {
    this.#over.abort()
  }

  async #pause(): Promise<void> {
    await delay(this.#readiness.interval, undefined, { signal: this.#over.signal }).catch(() => {})
  }

  /** @param fullIsWell  a worker that has no room for the question counts as well. @returns null: all is well; else what is not */
  async #ask(fullIsWell: boolean): Promise<string | null> {
    const { http, command, timeout } = this.#readiness
    const late = new AbortController()
    const endTimeout = whenHeard(timeout, () => late.abort())
    const stop = (): void => late.abort()
    this.#over.signal.addEventListener('abort', stop)
    if (this.#over.signal.aborted) stop()
    try {
      const asked =
        http === null ? [] : this.#setting.slots().map((slot) => askWorker(slot, http, this.#ports, late.signal))
      if (command !== null) asked.push(askCommand(command, this.#setting, late.signal))
      const answers = await Promise.allSettled(asked)
      const bad = answers.flatMap((one) => {
        if (one.status === 'fulfilled' || (fullIsWell && one.reason instanceof NoRoom)) return []
        return [(one.reason as Error).message]
      })
      return bad.length === 0 ? null : bad.join(', ')
    } finally {
      endTimeout()
      this.#over.signal.removeEventListener('abort', stop)
    }
  }
}
