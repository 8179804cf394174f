import { onStop, type StopOptions } from '../channel/stop.js'

interface Taker<Given> {
  give(given: Given): void
  fail(error: unknown): void
}

/** Those who wait for the next of something: first come, first served. */
export class Takers<Given> {
  readonly #waiting = new Set<Taker<Given>>()

  /**
   * What is there already, or what is given next. An abort wins over what is there.
   * @param there  takes what is there; undefined: nothing is
   * @param late   what did not come about in time
   * @throws what `there` throws; the signal's reason; ERR_HANDOVER_TIMED_OUT; a wrong option
   */
  next(options: StopOptions, there: () => Given | undefined, late: string): Promise<Given> {
    return new Promise((resolve, reject) => {
      let over = false
      let stop = (): void => {}
      const settle = (): void => {
        over = true
        this.#waiting.delete(taker)
        stop()
      }
      const taker: Taker<Given> = {
        give(given) {
          settle()
          resolve(given)
        },
        fail(error) {
          settle()
          reject(error)
        },
      }
      stop = onStop(
        options,
        (reason) => taker.fail(reason),
        () => late,
      )
      if (over) return
      try {
        const given = there()
        if (given === undefined) this.#waiting.add(taker)
        else taker.give(given)
      } catch (error) {
        taker.fail(error)
      }
    })
  }

  /** Gives it to whoever waits longest. @returns false: nobody waits */
  give(given: Given): boolean {
    const [first] = this.#waiting
    first?.give(given)
    return first !== undefined
  }

  /** The same for an error. */
  fail(error: unknown): boolean {
    const [first] = this.#waiting
    first?.fail(error)
    return first !== undefined
  }

  /** Gives the same to all who wait. */
  end(given: Given): void {
    for (const taker of [...this.#waiting]) taker.give(given)
  }
}
