interface Turn {
  readonly what: 'reload' | 'scale'
  /** It is not to begin; null: it may. */
  refusal: Error | null
}

/** Changes of generations, one after the other, in the order in which they were asked for. */
export class Turns {
  /** The first of them runs. */
  readonly #line: Turn[] = []
  #last: Promise<unknown> = Promise.resolve()

  /** How many there are, with the one that runs. */
  get length(): number {
    return this.#line.length
  }

  /** Whether a reload runs, or is about to. */
  get reloads(): boolean {
    return this.#line[0]?.what === 'reload'
  }

  /** Runs `task` when all before it are done. */
  take<Result>(what: Turn['what'], task: () => Promise<Result>): Promise<Result> {
    const turn: Turn = { what, refusal: null }
    this.#line.push(turn)
    const mine = this.#last.then(async () => {
      try {
        if (turn.refusal !== null) throw turn.refusal
        return await task()
      } finally {
        this.#line.shift()
      }
    })
    this.#last = mine.catch(() => {})
    return mine
  }

  /** Reloads that wait are never run, and reject with this. */
  refuseReloads(reason: Error): void {
    for (const turn of this.#line) if (turn.what === 'reload') turn.refusal ??= reason
  }
}
