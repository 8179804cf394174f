import { performance } from 'node:perf_hooks'
import { whenHeard } from '../../awake.js'
import { KILL_AFTER, TIME_MAX } from '../../limits.js'
import type { RelayEnd } from '../relay/relay-end.js'
import type { ChannelTarget } from './channel-target.js'
import type { Gate } from './gate.js'
import type { HeldWorker, WorkerRecord } from './slot-record.js'
import type { Worker, WorkerEnd } from './worker.js'
import { type TellLine, WorkerOutputs } from './worker-output.js'

const after = (milliseconds: number, work: () => void): (() => void) =>
  whenHeard(Math.min(milliseconds, TIME_MAX), work)

/** The worker in a place, with all that this process has of it. */
export class Tenant {
  readonly #worker: Worker
  readonly #target: ChannelTarget
  readonly #end: RelayEnd
  readonly #gate: Gate
  readonly #outputs: WorkerOutputs
  /** When it is ended if it has not ended by itself, as performance.now() tells. */
  #endsAt: number | null = null
  readonly #endKillers: (() => void)[] = []

  constructor(worker: Worker, target: ChannelTarget, end: RelayEnd, gate: Gate, line: TellLine) {
    this.#worker = worker
    this.#target = target
    this.#end = end
    this.#gate = gate
    this.#outputs = new WorkerOutputs(line)
    this.#outputs.read('stdout', worker.stdout)
    this.#outputs.read('stderr', worker.stderr)
    worker.ended.then(() => this.#outputs.endSoon())
  }

  get ended(): Promise<WorkerEnd> {
    return this.#worker.ended
  }

  /** Milliseconds that it has left to end by itself; null: it is not to. */
  get patience(): number | null {
    return this.#endsAt === null ? null : Math.max(0, this.#endsAt - performance.now())
  }

  /**
   * Ends it if it does not end by itself: by SIGTERM soon after so many milliseconds, then by SIGKILL.
   * @param last  milliseconds until that, and a little longer
   */
  endIn(milliseconds: number, last = milliseconds): void {
    this.#endsAt = Math.min(this.#endsAt ?? Number.POSITIVE_INFINITY, performance.now() + last)
    const kill = (signal: 'SIGTERM' | 'SIGKILL'): void => this.#gate.pass(() => this.#worker.kill(signal))
    this.#endKillers.push(
      after(milliseconds + KILL_AFTER / 5, () => kill('SIGTERM')),
      after(last + KILL_AFTER, () => kill('SIGKILL')),
    )
    this.#worker.ended.then(() => this.#endKillers.forEach((end) => void end())) // it may have ended by now
  }

  /** Settles when all that it wrote has been told. */
  get outputRead(): Promise<unknown> {
    return this.#outputs.done
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
    this.#endKillers.forEach((end) => void end())
    this.#worker.channel.letGo()
    this.#worker.letGo?.()
    this.#outputs.letGo()
  }
}
