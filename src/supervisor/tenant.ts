import { KILL_AFTER } from '../limits.js'
import type { ChannelTarget } from './channel-target.js'
import type { RelayEnd } from './relay-end.js'
import type { HeldWorker, WorkerRecord } from './slot-record.js'
import type { Worker, WorkerEnd } from './worker.js'
import { type TellLine, WorkerOutputs } from './worker-output.js'

/** The worker in a place, with all that this process has of it. */
export class Tenant {
  readonly #worker: Worker
  readonly #target: ChannelTarget
  readonly #end: RelayEnd
  readonly #outputs: WorkerOutputs

  constructor(worker: Worker, target: ChannelTarget, end: RelayEnd, line: TellLine) {
    this.#worker = worker
    this.#target = target
    this.#end = end
    this.#outputs = new WorkerOutputs(line)
    this.#outputs.read('stdout', worker.stdout)
    this.#outputs.read('stderr', worker.stderr)
    worker.ended.then(() => this.#outputs.endSoon())
  }

  get ended(): Promise<WorkerEnd> {
    return this.#worker.ended
  }

  /** What a successor must know; undefined: something is on its way. */
  get record(): WorkerRecord | undefined {
    const { pid, channel } = this.#worker
    const [link, relay] = [channel.state, this.#end.state]
    return link && relay ? { pid, link, relay, target: this.#target.state } : undefined
  }

  /** Counts on from where another stopped. */
  resume({ target, relay, link }: WorkerRecord): void {
    this.#target.resume(target)
    this.#end.resume(relay, link.peer)
  }

  /** Neither reads nor writes anything of the worker's from now on. Lends what it is known by. */
  hold(): HeldWorker {
    const { pid, channel, pidfd = null } = this.#worker
    channel.hold(true)
    return { pid, pidfd, socket: channel.descriptor, ...this.#outputs.hold() }
  }

  /** Goes on. Takes outputs that somebody else has read before. */
  goOn(outputs: Pick<HeldWorker, 'stdout' | 'stderr'> = { stdout: null, stderr: null }): void {
    this.#outputs.goOn()
    this.#outputs.read('stdout', outputs.stdout)
    this.#outputs.read('stderr', outputs.stderr)
    this.#worker.channel.hold(false)
  }

  /** Another supervisor goes on with it. */
  letGo(): void {
    this.#worker.channel.letGo()
    this.#worker.letGo?.()
    this.#outputs.letGo()
  }
}

/** A worker that has no channel any more has so long to end by itself. */
export function endInTime(worker: Worker, milliseconds: number): void {
  const timers = [
    setTimeout(() => worker.kill('SIGTERM'), KILL_AFTER / 5),
    setTimeout(() => worker.kill('SIGKILL'), milliseconds + KILL_AFTER),
  ]
  worker.ended.then(() => timers.forEach(clearTimeout))
}
