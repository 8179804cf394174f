import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'
import { LAG_RESOLUTION } from '../limits.js'
import type { BeatNotice } from '../wire/control.js'

type MemoryUsed = Pick<BeatNotice, 'memory' | 'heap'>

type ThreadUsage = (() => { user: number; system: number }) | undefined

/**
 * Tells the master again and again that the event loop turns, and how late it was. Neither timer keeps the process alive.
 *
 * Lag is the longest delay that `monitorEventLoopDelay` saw since the last beat: its samples are taken in C++, which costs
 * less than as many timers of our own, and one timer of ours would see a blocked loop only where it is due just then.
 */
export class Heartbeat {
  readonly #tell: (beat: BeatNotice) => void
  #timer: NodeJS.Timeout | null = null
  #delays: IntervalHistogram | null = null
  #used: MemoryUsed = { memory: 0, heap: 0 }

  constructor(tell: (beat: BeatNotice) => void) {
    this.#tell = tell
  }

  /** Starts, or goes on at another interval; the first beat is at once. */
  start(milliseconds: number): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#delays ??= monitorEventLoopDelay({ resolution: LAG_RESOLUTION })
    this.#delays.enable()
    this.#timer = setInterval(() => this.#beat(), milliseconds).unref()
    this.#beat()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#delays?.disable()
  }

  #beat(): void {
    const delays = this.#delays as IntervalHistogram
    const lag = Math.max(0, Math.round(delays.max / 1e6) - LAG_RESOLUTION)
    delays.reset()
    this.#used = memoryUsed() ?? this.#used
    this.#tell({ type: 'beat', lag, ...this.#used, cpu: Math.round(processorTime()) })
  }
}

/** Null: it is read from a file, and there is no free descriptor. That is no reason for a worker to end. */
function memoryUsed(): MemoryUsed | null {
  try {
    const { heapUsed: heap, heapTotal, external, rss } = process.memoryUsage()
    // Resident memory is all threads' together: of one, it is what its own heap and buffers hold.
    return { memory: isMainThread ? rss : heapTotal + external, heap }
  } catch {
    return null
  }
}

/** Milliseconds since the start. Before Node 23.9 nobody tells a thread's own: then it is the time its loop was active. */
function processorTime(): number {
  const ofThread = (process as { threadCpuUsage?: ThreadUsage }).threadCpuUsage
  if (!isMainThread && ofThread === undefined) return performance.eventLoopUtilization().active
  const { user, system } = isMainThread ? process.cpuUsage() : (ofThread as NonNullable<ThreadUsage>)()
  return (user + system) / 1_000
}
