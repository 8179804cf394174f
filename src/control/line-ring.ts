import { LOG_BYTES_KEPT, LOG_LINE_MAX, LOG_LINES_KEPT } from '../limits.js'

/** A line that a worker wrote. */
export interface WorkerLine {
  /** Milliseconds since the epoch. */
  time: number
  worker: number
  stream: 'stdout' | 'stderr'
  text: string
}

/** The last lines of all workers, bounded in number and in size; whoever follows hears of each new one. */
export class LineRing {
  #lines: WorkerLine[] = []
  /** Those before it are gone, and are cut off from time to time. */
  #start = 0
  #size = 0
  readonly #followers = new Set<(line: WorkerLine) => void>()

  get length(): number {
    return this.#lines.length - this.#start
  }

  add({ worker, stream, text }: Omit<WorkerLine, 'time'>): void {
    const cut = text.length > LOG_LINE_MAX ? `${text.slice(0, LOG_LINE_MAX)}…` : text
    const line = { time: Date.now(), worker, stream, text: cut }
    this.#lines.push(line)
    this.#size += cut.length
    while (this.length > LOG_LINES_KEPT || (this.#size > LOG_BYTES_KEPT && this.length > 1)) {
      this.#size -= (this.#lines[this.#start] as WorkerLine).text.length
      this.#start += 1
    }
    if (this.#start > LOG_LINES_KEPT) {
      this.#lines = this.#lines.slice(this.#start)
      this.#start = 0
    }
    for (const follower of this.#followers) follower(line)
  }

  /** The last lines, oldest first. @param worker  of this one alone */
  last(most: number, worker?: number): WorkerLine[] {
    const found: WorkerLine[] = []
    for (let index = this.#lines.length - 1; index >= this.#start && found.length < most; index--) {
      const line = this.#lines[index] as WorkerLine
      if (worker === undefined || line.worker === worker) found.push(line)
    }
    return found.reverse()
  }

  /** Calls `heard` with each new line. @returns what ends it */
  follow(heard: (line: WorkerLine) => void): () => void {
    this.#followers.add(heard)
    return () => void this.#followers.delete(heard)
  }
}
