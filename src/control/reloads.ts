import type { ReloadOptions } from '../supervisor/options.js'
import { type Controllable, type StepListener, tellingOf } from './controllable.js'

/** Tells a client how far it is. */
export type Progress = (event: string, fields?: object) => void

interface Reload {
  /** Null: its turn has not come. */
  generation: number | null
  previous: number | null
  readonly progress: Progress
}

const STEPS = ['ready', 'ended', 'switched', 'healthy', 'rolledBack', 'reloaded'] as const

/**
 * The reloads that are under way, in the order they were asked for, which is the order they are made in. Each is told
 * the steps of its own generations.
 */
export class Reloads {
  readonly #supervisor: Controllable
  readonly #failed: (error: Error) => void
  readonly #running: Reload[] = []
  readonly #ends: (() => void)[] = []

  /** @param failed  hears of each that failed, besides whoever asked */
  constructor(supervisor: Controllable, failed: (error: Error) => void) {
    this.#supervisor = supervisor
    this.#failed = failed
    this.#listen('reloading', ({ generation }) => this.#began(generation as number))
    for (const step of STEPS) this.#listen(step, (event) => this.#step(step, event))
  }

  /** Settles when the workers before are gone. @throws what `reload` of the supervisor throws */
  async reload(options: ReloadOptions, progress: Progress): Promise<{ generation: number }> {
    const before = this.#running.filter(({ generation }) => generation === null).length
    const behind =
      before > 0 || this.#running.some(({ generation, previous }) => generation !== null && previous === null)
    const mine: Reload = { generation: null, previous: null, progress }
    this.#running.push(mine)
    if (behind) progress('queued', { before: before + 1 })
    try {
      return await this.#supervisor.reload(options)
    } catch (error) {
      this.#failed(error as Error)
      throw error
    } finally {
      this.#running.splice(this.#running.indexOf(mine), 1)
    }
  }

  close(): void {
    for (const end of this.#ends.splice(0)) end()
  }

  #listen(name: string, listener: StepListener): void {
    const telling = tellingOf(this.#supervisor)
    telling.on(name, listener)
    this.#ends.push(() => telling.off(name, listener))
  }

  #began(generation: number): void {
    const next = this.#running.find((reload) => reload.generation === null)
    if (next === undefined) return // the program itself asked for it
    next.generation = generation
    next.progress('reloading', { generation })
  }

  #step(step: (typeof STEPS)[number], event: Record<string, unknown>): void {
    const { generation } = event
    for (const reload of this.#running) {
      if (reload.generation === null) continue
      const old = step === 'ended' && generation === reload.previous
      if (generation !== reload.generation && !old) continue
      if (step === 'switched') reload.previous = (event.previous as number | undefined) ?? 0
      reload.progress(step, event)
    }
  }
}
