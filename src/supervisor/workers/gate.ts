/** What must not happen while another process may take our place: it waits, and is done later, or never. */
export class Gate {
  #waiting: (() => void)[] | null = null

  get isClosed(): boolean {
    return this.#waiting !== null
  }

  /** Does something now, or when the gate opens. */
  pass(work: () => void): void {
    if (this.#waiting === null) work()
    else this.#waiting.push(work)
  }

  close(): void {
    this.#waiting ??= []
  }

  /** Does what has waited, in order. */
  open(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = null
    for (const work of waiting) this.pass(work) // one of them may close it again
  }
}
