import { type Controllable, type StepListener, tellingOf } from './controllable.js'

/** Who waits for old workers that may finish under another process, in which nobody here would hear of it. */
export class HandedOn {
  readonly #supervisor: Controllable
  readonly #waiting = new Set<(pid: number) => void>()
  readonly #heard: StepListener = ({ pid }) => {
    for (const told of this.#waiting) told(Number(pid))
  }

  constructor(supervisor: Controllable) {
    this.#supervisor = supervisor
    tellingOf(supervisor).on('succeeded', this.#heard)
  }

  /**
   * Waits for work at whose end only old workers are left: a supervisor in the middle of a change is not replaced.
   * @param answer  what is known once another process, whose pid it is told, has replaced this one
   */
  async or<Result, Known>(work: Promise<Result>, answer: (pid: number) => Known): Promise<Result | Known> {
    let told = (_pid: number): void => {}
    const replaced = new Promise<Known>((resolve) => {
      told = (pid) => resolve(answer(pid))
    })
    this.#waiting.add(told)
    try {
      return await Promise.race([work, replaced])
    } finally {
      this.#waiting.delete(told)
    }
  }

  close(): void {
    tellingOf(this.#supervisor).off('succeeded', this.#heard)
  }
}
