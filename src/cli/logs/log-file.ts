import { LOG_CLOSE_TIME, LOG_QUEUE_MAX, LOG_RETRY } from '../../limits.js'
import { type Files, systemFiles } from './files.js'

/** Who hears how a file is doing. */
export interface LogFileOwner {
  /** It cannot be written; lines wait, and the file is tried again later. Once until it can. */
  failed(path: string, error: Error): void
  /** It is written again. @param dropped  lines that found no room meanwhile */
  recovered(path: string, dropped: number): void
}

/**
 * A file that lines are appended to, whole and in order. Owns its descriptor.
 *
 * Invariants: one write at a time; at most LOG_QUEUE_MAX bytes wait, and what has no room is counted and told in its
 * place; a line that was cut short is finished, or begins anew in the next file.
 */
export class LogFile {
  readonly path: string
  readonly #owner: LogFileOwner
  readonly #files: Files
  #descriptor: number | null = null
  #queue: string[] = []
  #bytes = 0
  #dropped = 0
  /** Dropped since it failed. */
  #lost = 0
  /** What is being written, and how much of it is. */
  #chunk: Buffer | null = null
  #offset = 0
  #failing = false
  #moved = false
  #pumping: Promise<void> | null = null
  #retry: NodeJS.Timeout | null = null

  constructor(path: string, owner: LogFileOwner, files: Files = systemFiles) {
    this.path = path
    this.#owner = owner
    this.#files = files
  }

  /** Appends a line; never waits. */
  write(line: string): void {
    const length = Buffer.byteLength(line) + 1
    if (this.#bytes + length > LOG_QUEUE_MAX) {
      this.#dropped++
      this.#lost++
      return
    }
    if (this.#dropped > 0) this.#tellDropped()
    this.#queue.push(`${line}\n`)
    this.#bytes += length
    if (!this.#failing) this.#pump()
  }

  /** Goes on in a new file of the same name: the one before was moved away. */
  reopen(): void {
    this.#moved = true
    this.#pump()
  }

  /** Writes what waits, as far as that goes in a short time, and closes. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LOG_CLOSE_TIME)
    })
    await Promise.race([this.#pump(), late])
    clearTimeout(timer)
    if (this.#retry !== null) clearTimeout(this.#retry)
    const descriptor = this.#descriptor
    this.#descriptor = null
    if (descriptor !== null) await this.#files.close(descriptor).catch(() => {})
  }

  #pump(): Promise<void> {
    this.#pumping ??= this.#writeAll()
      .catch((error: Error) => this.#fail(error))
      .finally(() => {
        this.#pumping = null
        // What came in the meantime, between the last look and now.
        if (!this.#failing && (this.#queue.length > 0 || this.#moved)) void this.#pump()
      })
    return this.#pumping
  }

  async #writeAll(): Promise<void> {
    for (;;) {
      if (this.#moved || this.#descriptor === null) await this.#open()
      if (this.#chunk === null) {
        if (this.#dropped > 0) this.#tellDropped()
        if (this.#queue.length === 0) {
          if (this.#failing) this.#recover() // what failed was the opening
          return
        }
        this.#chunk = Buffer.from(this.#queue.join(''))
        this.#queue = []
        this.#offset = 0
      }
      this.#offset += await this.#files.write(this.#descriptor as unknown as number, this.#chunk.subarray(this.#offset))
      if (this.#failing) this.#recover()
      if (this.#offset < this.#chunk.length) continue
      this.#bytes -= this.#chunk.length
      this.#chunk = null
    }
  }

  async #open(): Promise<void> {
    const moved = this.#moved
    this.#moved = false // what is moved from now on is opened once more
    const descriptor = await this.#files.open(this.path).catch((error: Error) => {
      this.#moved ||= moved // the file before is not the one that was asked for
      throw error
    })
    const before = this.#descriptor
    this.#descriptor = descriptor
    // A line that was cut begins anew in the new file.
    if (this.#chunk !== null) this.#offset = this.#offset === 0 ? 0 : this.#chunk.lastIndexOf(10, this.#offset - 1) + 1
    if (before !== null) await this.#files.close(before).catch(() => {})
  }

  #fail(error: Error): void {
    if (!this.#failing) this.#owner.failed(this.path, error)
    this.#failing = true
    this.#retry ??= setTimeout(() => {
      this.#retry = null
      void this.#pump()
    }, LOG_RETRY).unref()
  }

  #recover(): void {
    this.#failing = false
    this.#owner.recovered(this.path, this.#lost)
    this.#lost = 0
  }

  /** Stands where the lines would be. */
  #tellDropped(): void {
    const line = `${new Date().toISOString()} handover ${this.#dropped} lines were dropped here\n`
    this.#dropped = 0
    this.#queue.push(line)
    this.#bytes += Buffer.byteLength(line)
  }
}
