import { EventEmitter } from 'node:events'
import { statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { Dispatcher } from '../dispatch/dispatcher.js'
import type { Policy } from '../dispatch/policy.js'
import { HandoverError, SyscallError } from '../errors.js'
import { DRAIN_DEFAULT, EARLY_DEATHS_MAX, STALL_AFTER, STATUS_DELAY, WORKERS_MAX } from '../limits.js'
import { scheduleAsBatch, scheduledAsUsual } from '../syscalls/schedule.js'
import type { SocketAddress } from '../transport/address.js'
import type { ListenOptions } from '../transport/listening-port.js'
import type { FromWorker } from '../wire/control.js'
import type { ChannelTarget } from './channel-target.js'
import type { SupervisorEvents } from './events.js'
import { codeOf, PortRegistry } from './port-registry.js'
import { Slot, type SlotOwner, type WorkerStatus } from './slot.js'
import type { Program, WorkerEnd } from './worker.js'
import { startProcess } from './worker-process.js'
import { startThread } from './worker-thread.js'

export interface SupervisorOptions {
  /** The program every worker runs; an absolute path. */
  script: string
  args?: readonly string[]
  /** 1 … 1024. Default 1. */
  workers?: number
  /** Default 'least-connections'. */
  policy?: Policy
  /** At most this many connections per worker at a time. Default: no limit. */
  maxConnections?: number
  /** At most this many connections over all workers. Default: no limit. */
  maxTotal?: number
  /** Ports that `start` opens itself, for workers that call `serve(server)` without an address. Default: none. */
  listen?: readonly ListenOptions[]
  /** Pending connections the kernel queues, whatever the program asks for. */
  backlog?: number
  /** Run workers as threads of this process. Default false: as processes. */
  threads?: boolean
  /** Make `listen` of the unmodified program go through the master. Default true; false: it calls `serve`. */
  preload?: boolean
  execArgv?: readonly string[]
  env?: NodeJS.ProcessEnv
  cwd?: string
  /**
   * Let the kernel schedule this thread as a batch job: a third less processor time per connection, as it finds more
   * of them at each waking. For a process that does nothing but this; workers are not affected. Default false.
   */
  batchScheduling?: boolean
  /** Milliseconds that draining workers have for their open connections. Default 30,000. */
  drainTimeout?: number
}

export interface SupervisorStatus {
  workers: WorkerStatus[]
  ports: (SocketAddress | string)[]
  /** Connections ever given to a worker. */
  dispatched: number
  /** Connections that came back from a worker and wait for another. */
  waiting: number
}

/**
 * Starts workers, opens the ports they ask for, hands them connections, and fills the place of those that die.
 *
 * Invariants: a connection that a dead worker had not claimed goes to another; ports stay open while workers are
 * replaced; nothing it started is left when `stop` or `kill` is done.
 */
export class Supervisor extends EventEmitter<SupervisorEvents> {
  readonly #slots: Slot[]
  readonly #ports: PortRegistry
  readonly #dispatcher: Dispatcher
  readonly #drainTimeout: number
  readonly #listen: readonly ListenOptions[]
  readonly #owner: SlotOwner
  #refusals = new Map<Slot, SyscallError>()
  #earlyDeaths = 0
  #everReady = false
  #failed = false
  #stalled = new Set<number>()
  #watch: NodeJS.Timeout | null = null
  #started = false
  #stopping: Promise<void> | null = null
  #settleStart: { resolve(): void; reject(error: Error): void } | null = null

  /** @throws {RangeError | TypeError} an option out of range */
  constructor(options: SupervisorOptions) {
    super()
    if (typeof options.script !== 'string' || !isAbsolute(options.script)) {
      throw new TypeError(`script: an absolute path, not ${JSON.stringify(options.script)}`)
    }
    const workers = whole('workers', options.workers ?? 1, WORKERS_MAX)
    const limit =
      options.maxConnections === undefined ? Number.POSITIVE_INFINITY : whole('maxConnections', options.maxConnections)
    if (options.maxTotal !== undefined) whole('maxTotal', options.maxTotal)
    if (options.backlog !== undefined) whole('backlog', options.backlog)
    this.#listen = options.listen ?? []
    this.#drainTimeout = options.drainTimeout ?? DRAIN_DEFAULT
    if (options.batchScheduling) scheduleAsBatch()
    this.#dispatcher = new Dispatcher({
      ...(options.policy === undefined ? {} : { policy: options.policy }),
      ...(options.maxTotal === undefined ? {} : { limit: options.maxTotal }),
      onExhausted: (error) => this.emit('exhausted', { error }),
      onPolicyError: (error) => this.emit('policyError', { error }),
    })
    // A limit waits for every place that becomes free, and a policy of the user's own decides by the numbers.
    const prompt = Number.isFinite(limit) || options.maxTotal !== undefined || typeof options.policy === 'function'
    this.#ports = new PortRegistry(this.#dispatcher, options.backlog, prompt ? 0 : STATUS_DELAY)
    const program: Program = {
      script: options.script,
      args: options.args ?? [],
      execArgv: options.execArgv ?? [],
      env: options.env ?? process.env,
      cwd: options.cwd ?? process.cwd(),
      preload: options.preload ?? true,
    }
    this.#owner = this.#slotOwner(program, limit, options.threads ?? false)
    this.#slots = Array.from({ length: workers }, (_, i) => new Slot(i + 1, this.#owner))
  }

  /**
   * Starts the workers; settles when the first of them listens.
   * @throws {SyscallError} the port is not to be had; {HandoverError} ERR_HANDOVER_WORKERS_FAILED: they end before
   *   they listen, …_STOPPED: `stop` came first, or this is the second start. Everything is stopped then.
   */
  async start(): Promise<void> {
    if (this.#started || this.#stopping !== null) {
      throw new HandoverError('ERR_HANDOVER_STOPPED', 'this supervisor was started or stopped before')
    }
    checkScript(this.#owner.program.script)
    this.#started = true
    this.#watch = setInterval(() => this.#reportStalls(), STALL_AFTER).unref()
    this.#openOwnPorts()
    const ready = new Promise<void>((resolve, reject) => {
      this.#settleStart = { resolve, reject }
    })
    for (const slot of this.#slots) slot.start()
    await ready
  }

  #openOwnPorts(): void {
    try {
      for (const options of this.#listen) {
        this.#ports.openOwn(options)
        this.emit('listening', { address: this.#ports.addresses.at(-1) as SocketAddress | string })
      }
    } catch (error) {
      this.#ports.clear()
      throw error
    }
  }

  /**
   * Accepts what waits, closes the ports, lets workers finish what they have, and settles when all are gone.
   * @param milliseconds  that workers have; default `drainTimeout`
   */
  stop(milliseconds = this.#drainTimeout): Promise<void> {
    this.#stopping ??= this.#stop(milliseconds)
    return this.#stopping
  }

  /** Ends everything at once; connections in the workers are cut. */
  kill(): Promise<void> {
    const done = this.stop(0)
    for (const slot of this.#slots) slot.kill()
    return done
  }

  status(): SupervisorStatus {
    return {
      workers: this.#slots.map((slot) => slot.status()).filter((status) => status !== null),
      ports: this.#ports.addresses,
      dispatched: this.#dispatcher.dispatched,
      waiting: this.#dispatcher.waiting,
    }
  }

  async #stop(milliseconds: number): Promise<void> {
    if (this.#watch !== null) clearInterval(this.#watch)
    this.#ports.retire()
    await Promise.all(this.#slots.map((slot) => slot.stop(milliseconds)))
    this.#ports.clear()
    this.#settleStart?.reject(new HandoverError('ERR_HANDOVER_STOPPED', 'stopped before any worker listened'))
  }

  #slotOwner(program: Program, limit: number, threads: boolean): SlotOwner {
    return {
      program,
      limit,
      drainTimeout: this.#drainTimeout,
      start: (program, handlers) => scheduledAsUsual(() => (threads ? startThread : startProcess)(program, handlers)),
      started: (slot) => this.emit('started', { worker: slot.number, pid: slot.pid }),
      message: (slot, target, message) => this.#message(slot, target, message),
      line: (slot, stream, text) => this.#line({ worker: slot.number, stream, text }),
      lostChannel: (slot, target, error, returned) => {
        // Listeners come last: one that throws must not cost a connection.
        this.#dispatcher.detach(target)
        this.#dispatcher.takeBack(returned.descriptors, returned.tags)
        if (error !== null) this.emit('broken', { worker: slot.number, error })
      },
      sentBack: (slot, _target, returned) => {
        this.#dispatcher.takeBack(returned.descriptors, returned.tags)
        this.emit('returned', { worker: slot.number, connections: returned.descriptors.length })
      },
      roomier: (target) => this.#dispatcher.roomier(target),
      ended: (slot, end, wait) => this.#ended(slot, end, wait),
    }
  }

  /** Where nobody listens to workers' output it goes where this process's own goes. */
  #line(event: SupervisorEvents['line'][0]): void {
    if (!this.emit('line', event)) process[event.stream].write(`[${event.worker}] ${event.text}\n`)
  }

  /** Tells of workers that stopped claiming, or claim again: nothing else would say so. */
  #reportStalls(): void {
    for (const { worker, stalled, unclaimed } of this.status().workers) {
      if (stalled === this.#stalled.has(worker)) continue
      if (stalled) this.#stalled.add(worker)
      else this.#stalled.delete(worker)
      this.emit(stalled ? 'stalled' : 'recovered', { worker, unclaimed })
    }
  }

  #message(slot: Slot, target: ChannelTarget, message: FromWorker): void {
    switch (message.type) {
      case 'listen':
        return this.#answer(slot, message.id, () => {
          const { reply, opened } = this.#ports.listen(message, slot.number)
          slot.tell(reply)
          if (opened) this.emit('listening', { address: this.#ports.addresses.at(-1) as SocketAddress | string })
          this.#ready(slot, target, reply.ports)
        })
      case 'serve':
        return this.#answer(slot, message.id, () => {
          const reply = this.#ports.serveAll(message.id, slot.number)
          slot.tell(reply)
          this.#ready(slot, target, reply.ports)
        })
      case 'chmod':
        return this.#answer(slot, message.id, () => {
          this.#ports.chmod(message.port, message.mode, message.keep)
          slot.tell({ type: 'done', reply: message.id })
        })
      case 'close':
        return this.#ports.close(message.port, slot.number, target)
      case 'cut':
        return void this.emit('cut', { worker: slot.number, connections: message.connections })
      default: // 'drained' is seen as the worker's end; words of later releases are ignored
    }
  }

  /** A request that fails is answered with the name of the error. */
  #answer(slot: Slot, id: number, attempt: () => void): void {
    try {
      attempt()
    } catch (error) {
      if (error instanceof SyscallError) {
        this.#refusals.set(slot, error)
        this.emit('refused', { worker: slot.number, error })
      }
      slot.tell({ type: 'failed', reply: id, code: codeOf(error) })
    }
  }

  #ready(slot: Slot, target: ChannelTarget, ports: readonly number[]): void {
    const first = slot.state === 'starting'
    slot.ready(target)
    this.#ports.attach(target, ports)
    this.#refusals.delete(slot)
    this.#everReady = true
    if (first) this.emit('ready', { worker: slot.number, pid: slot.pid })
    this.#settleStart?.resolve()
    this.#settleStart = null
  }

  #ended(slot: Slot, end: WorkerEnd, wait: number): boolean {
    const stopping = this.#stopping !== null
    const expected = stopping && !this.#failed
    const failure = stopping || this.#everReady ? null : this.#verdict(slot, end)
    const again = !stopping && failure === null
    const restartIn = again ? wait : null
    this.emit('ended', { worker: slot.number, pid: slot.pid, end, expected, restartIn })
    if (failure !== null) this.#fail(failure)
    return again && this.#stopping === null // a listener may have stopped it all
  }

  /** Whether a worker's end, before any was ever ready, means that none will be. */
  #verdict(slot: Slot, end: WorkerEnd): Error | null {
    const refusal = this.#refusals.get(slot)
    if (refusal !== undefined) return refusal
    this.#earlyDeaths += 1
    if (end.code === 0) {
      return new HandoverError('ERR_HANDOVER_WORKERS_FAILED', 'the script ended without listening on any port')
    }
    if (this.#earlyDeaths < EARLY_DEATHS_MAX) return null
    const how = end.signal ?? `exit code ${end.code}`
    return new HandoverError('ERR_HANDOVER_WORKERS_FAILED', `workers end before they listen (${how})`)
  }

  #fail(error: Error): void {
    this.#failed = true
    const settle = this.#settleStart
    this.#settleStart = null
    void this.stop(0).then(() => settle?.reject(error))
  }
}

/** @throws {TypeError} there is no such file */
function checkScript(script: string): void {
  if (!statSync(script, { throwIfNoEntry: false })?.isFile()) throw new TypeError(`script: there is no file ${script}`)
}

function whole(name: string, value: number, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw new RangeError(
    `${name}: a whole number from 1${most < Number.MAX_SAFE_INTEGER ? ` to ${most}` : ''}, not ${value}`,
  )
}
