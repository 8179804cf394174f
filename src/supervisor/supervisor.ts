import { EventEmitter } from 'node:events'
import type net from 'node:net'
import { Dispatcher } from '../dispatch/dispatcher.js'
import { HandoverError, SyscallError } from '../errors.js'
import { EARLY_DEATHS_MAX, STALL_AFTER, STATUS_DELAY } from '../limits.js'
import { scheduleAsBatch, scheduledAsUsual } from '../syscalls/schedule.js'
import type { SocketAddress } from '../transport/address.js'
import type { Transport } from '../transport/transport.js'
import type { FromWorker } from '../wire/control.js'
import type { ChannelTarget } from './channel-target.js'
import type { SupervisorEvents } from './events.js'
import { handOverFrom, type SupervisorHandOverOptions } from './hand-over.js'
import { checkScript, type SettledOptions, type SupervisorOptions, settleOptions } from './options.js'
import { codeOf, PortRegistry } from './port-registry.js'
import { Relay } from './relay.js'
import { Slot, type SlotOwner, type WorkerStatus } from './slot.js'
import type { Program, WorkerEnd } from './worker.js'
import { startProcess } from './worker-process.js'
import { startThread } from './worker-thread.js'

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
  readonly #options: SettledOptions
  readonly #owner: SlotOwner
  readonly #relay: Relay
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
    this.#options = settleOptions(options)
    const { program, workers, limit, maxTotal, policy, backlog, threads, batchScheduling } = this.#options
    if (batchScheduling) scheduleAsBatch()
    this.#dispatcher = new Dispatcher({
      policy,
      limit: maxTotal,
      onExhausted: (error) => this.emit('exhausted', { error }),
      onPolicyError: (error) => this.emit('policyError', { error }),
    })
    // A limit waits for every place that becomes free, and a policy of the user's own decides by the numbers.
    const prompt = Number.isFinite(limit) || Number.isFinite(maxTotal) || typeof policy === 'function'
    this.#ports = new PortRegistry(this.#dispatcher, backlog, prompt ? 0 : STATUS_DELAY)
    this.#relay = new Relay({
      serves: () => true,
      portsOf: (place) => this.#ports.portsOf([(place as Slot).number]),
    })
    this.#owner = this.#slotOwner(program, limit, threads)
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
    this.#openOwnPorts()
    this.#watch = setInterval(() => this.#reportStalls(), STALL_AFTER).unref()
    const ready = new Promise<void>((resolve, reject) => {
      this.#settleStart = { resolve, reject }
    })
    for (const slot of this.#slots) slot.start()
    await ready
  }

  #openOwnPorts(): void {
    try {
      for (const options of this.#options.listen) {
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
  stop(milliseconds = this.#options.drainTimeout): Promise<void> {
    this.#stopping ??= this.#stop(milliseconds)
    return this.#stopping
  }

  /** Ends everything at once; connections in the workers are cut. */
  kill(): Promise<void> {
    const done = this.stop(0)
    for (const slot of this.#slots) slot.kill()
    return done
  }

  /**
   * Hands a live connection of this process to a worker: to what it gave `onHandOver` as `as`, or to the server there
   * that listens on `port`. Takes the socket, as the workers' own `handOver` does; if it rejects it goes on here.
   * @throws {HandoverError} ERR_HANDOVER_REFUSED: no worker takes it; _NOT_MOVABLE: it cannot leave; _TIMED_OUT
   * @throws {TypeError | RangeError} a wrong argument; the signal's reason
   */
  handOver(socket: net.Socket | Transport, options: SupervisorHandOverOptions): Promise<void> {
    const from = {
      relay: this.#relay,
      portsAt: (place: number | string) => this.#ports.at(place),
      isFull: () => this.#relay.load + this.#dispatcher.waiting >= this.#options.maxTotal,
    }
    return handOverFrom(from, socket, options)
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
      drainTimeout: this.#options.drainTimeout,
      relay: this.#relay,
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
