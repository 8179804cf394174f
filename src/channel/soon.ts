/** Does something once for all that ask for it within a while. */
export class Soon {
  readonly #work: () => void
  #due = false

  constructor(work: () => void) {
    this.#work = work
  }

  /** After so many milliseconds, which keep no process alive; 0: at the end of this turn of the event loop. */
  in(milliseconds: number): void {
    if (this.#due) return
    this.#due = true
    const work = (): void => {
      this.#due = false
      this.#work()
    }
    if (milliseconds === 0) setImmediate(work)
    else setTimeout(work, milliseconds).unref()
  }
}
