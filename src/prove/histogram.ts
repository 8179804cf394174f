/** Each bucket is so much wider than the one before: what is read from them is right within one percent. */
const STEP = Math.log(1.02)
const LEAST = 0.01

/** Milliseconds counted in buckets, so that a long run takes no more memory than a short one. */
export class Histogram {
  #counts: number[] = []
  #total = 0
  #most = 0

  add(milliseconds: number): void {
    const bucket = Math.max(0, Math.round(Math.log(milliseconds / LEAST) / STEP))
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#total += 1
    if (milliseconds > this.#most) this.#most = milliseconds
  }

  addAll(other: Histogram): void {
    other.#counts.forEach((count, bucket) => {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count
    })
    this.#total += other.#total
    this.#most = Math.max(this.#most, other.#most)
  }

  get most(): number {
    return this.#most
  }

  /** The value that this part (0 … 1) of all is not above; null: there is none. */
  at(part: number): number | null {
    let left = Math.ceil(this.#total * part)
    if (left === 0) return null
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      left -= this.#counts[bucket] ?? 0
      if (left <= 0) return Math.min(this.#most, LEAST * Math.exp(bucket * STEP))
    }
    return this.#most
  }
}
