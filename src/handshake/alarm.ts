/** One timer for many that wait: it goes off when the first of them is due. Keeps no process alive. */
export class Alarm {
  readonly #ring: () => void
  #timer: NodeJS.Timeout | null = null
  #at = Number.POSITIVE_INFINITY

  constructor(ring: () => void) {
    this.#ring = ring
  }

  /** Goes off at `when`, as performance.now() tells, or sooner, if that was said before. Infinity: changes nothing. */
  setFor(when: number): void {
    if (when >= this.#at) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#at = when
    this.#timer = setTimeout(() => this.#go(), Math.max(1, when - performance.now())).unref()
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#at = Number.POSITIVE_INFINITY
  }

  #go(): void {
    this.clear()
    this.#ring()
  }
}
