import type { ReloadOptions } from '../supervisor/options.js'
import { type Controllable, type StepListener, tellingOf } from './controllable.js'
import type { HandedOn } from './handed-on.js'

/** Tells a client how far it is. */
export type Progress = (event: string, fields?: object) => void

/** What came of a reload. */
export interface Reloaded {
  readonly generation: number
  /** The process that has replaced this one before the workers of the generation before were gone. */
  readonly finishUnder?: number
}

/** Makes a reload, as `reload` of a supervisor does. */
export type MakeReload = (options: ReloadOptions) => Promise<{ generation: number }>

interface Reload {
  /** Null: its turn has not come. */
  generation: number | null
  /** A later one takes its place: it will have no turn. */
  superseded: boolean
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
  readonly #handedOn: HandedOn
  readonly #make: MakeReload
  readonly #failed: (error: Error) => void
  readonly #running: Reload[] = []
  readonly #ends: (() => void)[] = []

  /**
   * @param make  makes them; its steps are told by the supervisor
   * @param failed  hears of each that failed, besides whoever asked
   */
  constructor(supervisor: Controllable, handedOn: HandedOn, make: MakeReload, failed: (error: Error) => void) {
    this.#supervisor = supervisor
    this.#handedOn = handedOn
    this.#make = make
    this.#failed = failed
    this.#listen('reloading', ({ generation }) => this.#began(generation as number))
    for (const step of STEPS) this.#listen(step, (event) => this.#step(step, event))
  }

  /** Settles when the workers before are gone, or another process has them. @throws what `reload` of the supervisor throws */
  async reload(options: ReloadOptions, progress: Progress): Promise<Reloaded> {
    const waits = this.#running.some(({ previous }) => previous === null)
    const mine: Reload = { generation: null, superseded: false, previous: null, progress }
    if ((options as { supersede?: boolean }).supersede === true) {
      for (const before of this.#running) before.superseded = true
    }
    this.#running.push(mine)
    if (waits) progress('queued')
    try {
      return await this.#handedOn.or<Reloaded, Reloaded>(this.#make(options), (finishUnder) => {
        return { generation: mine.generation ?? 0, finishUnder }
      })
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
    const next = this.#running.find((reload) => reload.generation === null && !reload.superseded)
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
