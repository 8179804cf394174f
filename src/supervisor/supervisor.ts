import { EventEmitter } from 'node:events'
import type net from 'node:net'
import type { Channel } from '../channel/channel.js'
import type { Dispatcher } from '../dispatch/dispatcher.js'
import { HandoverError } from '../errors.js'
import type { Descriptor } from '../sendmsg/descriptor.js'
import { scheduleAsBatch } from '../syscalls/schedule.js'
import { Staff } from './care/staff.js'
import { StallWatch } from './care/stalls.js'
import { type SupervisorEvents, told } from './events.js'
import { Generations } from './generations/generations.js'
import { stopped } from './generations/stage.js'
import {
  type ReloadOptions,
  type SettledOptions,
  type SupervisorOptions,
  settleOptions,
  settleReload,
} from './options.js'
import type { PortKeeper } from './ports/port-keeper.js'
import type { PortRegistry } from './ports/port-registry.js'
import { type LiveConnection, MasterHandOvers, type SupervisorHandOverOptions } from './relay/hand-over.js'
import { Setbacks } from './setbacks.js'
import { type SupervisorStatus, statusOf } from './status.js'
import type { HandOverToOptions } from './succession/hand-over-to.js'
import { orClose, Succession } from './succession/succession.js'
import { dispatcherOf, portsOf } from './supervisor-parts.js'
import type { ChannelTarget } from './workers/channel-target.js'
import type { Slot, SlotOwner } from './workers/slot.js'
import { slotOwner } from './workers/slot-owner.js'
import { StartUp } from './workers/start-up.js'
import { TicketSecrets } from './workers/ticket-secrets.js'
import type { WorkerEnd } from './workers/worker.js'
import { WorkerWords } from './workers/worker-words.js'

/**
 * Starts workers, opens the ports they ask for, hands them connections, and fills the place of those that die.
 *
 * Invariants: a connection that a dead worker had not claimed goes to another; ports stay open while workers are
 * replaced; nothing it started is left when `stop` or `kill` is done.
 */
export class Supervisor extends EventEmitter<SupervisorEvents> {
  readonly #generations: Generations
  readonly #ports: PortRegistry
  readonly #dispatcher: Dispatcher
  readonly #setbacks = new Setbacks((event) => this.emit('setback', event))
  readonly #options: SettledOptions
  readonly #handOvers: MasterHandOvers
  readonly #words: WorkerWords
  readonly #startUp = new StartUp()
  readonly #staff: Staff
  readonly #succession: Succession
  #failed = false
  readonly #stalls = new StallWatch(
    () => this.status().workers,
    (name, event) => this.emit(name, event),
  )
  readonly #tickets: TicketSecrets | null // null: servers see to theirs themselves
  #started: Promise<void> | null = null
  #stopping: Promise<void> | null = null

  /** @throws {RangeError | TypeError} an option out of range */
  constructor(options: SupervisorOptions) {
    super()
    this.#options = settleOptions(options)
    const { places, maxTotal, batchScheduling, ticketRotation, readiness } = this.#options
    if (batchScheduling) scheduleAsBatch()
    const tell = (name: 'exhausted' | 'policyError', event: object): unknown =>
      this.emit(name as 'exhausted', event as never)
    this.#dispatcher = dispatcherOf(this.#options, this.#setbacks, tell)
    this.#ports = portsOf(this.#options, this.#dispatcher)
    this.#tickets = ticketRotation === 0 ? null : new TicketSecrets(ticketRotation, () => this.#rotated())
    this.#handOvers = new MasterHandOvers(this.#ports, this.#dispatcher, maxTotal, (slot) =>
      this.#generations.serves(slot as Slot),
    )
    this.#words = new WorkerWords(this.#ports, {
      emit: (name, event) => void this.emit<'listening' | 'refused' | 'cut'>(name, event as never),
      ready: (slot, target, ports) => this.#ready(slot, target, ports),
      appReady: (slot, target) =>
        void (this.#generations.saidReady(slot) && this.#ready(slot, target, [...target.served])),
      step: () => this.#generations.step(),
    })
    const owner = this.#slotOwner()
    this.#generations = new Generations(places, readiness, owner, this.#ports, (name, event) => {
      this.emit<'reloading' | 'switched' | 'reloaded'>(name as 'reloaded', event as never)
    })
    this.#staff = new Staff(this.#options.care, {
      generations: this.#generations,
      drainTimeout: this.#options.drainTimeout,
      gate: owner.gate,
      tell: (name, event) => void this.emit<'hung' | 'recovered'>(name as 'hung', event as never),
      failed: (error) => this.#fail(error),
    })
    const [dispatcher, generations, ports, tickets] = [this.#dispatcher, this.#generations, this.#ports, this.#tickets]
    this.#succession = new Succession(
      { setbacks: this.#setbacks, startUp: this.#startUp, dispatcher, generations, ports, tickets, slotOwner: owner },
      {
        options: this.#options,
        runs: () => this.#started !== null && this.#stopping === null,
        parts: [this.#stalls, this.#staff],
        succeeded: (pid) => this.emit('succeeded', { pid }),
      },
    )
  }

  /**
   * Starts the workers; settles when the first of them listens, or takes hand-overs and listens nowhere. @throws
   * {SyscallError} the port is not to be had; {HandoverError} ERR_HANDOVER_WORKERS_FAILED, _STOPPED: all is stopped then.
   */
  async start(): Promise<void> {
    if (this.#started !== null || this.#stopping !== null) {
      throw new HandoverError('ERR_HANDOVER_STOPPED', 'this supervisor was started or stopped before')
    }
    this.#generations.check()
    this.#started = this.#start()
    await this.#started
  }

  async #start(): Promise<void> {
    this.#ports.openOwn(this.#options.listen, (address) => this.emit('listening', { address }))
    for (const part of [this.#stalls, this.#staff, this.#tickets]) part?.start()
    const ready = this.#startUp.wait()
    this.#generations.start()
    await ready
  }

  /**
   * Starts a new generation of workers next to the one that serves, differing in `options`; when all of it is ready, new
   * connections are its own, and the old workers finish theirs, or stand by first for the `healthWindow`. Settles when
   * those are gone. Reloads wait for each other, unless one is to `supersede` what came before.
   * @throws {HandoverError} ERR_HANDOVER_WORKERS_FAILED: a new worker ended or was not ready in time, and the old ones
   *   serve as before; _ROLLED_BACK: it failed after the switch, and they serve again; both with the new workers' last
   *   `output`; _SUPERSEDED: by a later reload; _STOPPED: nothing runs, or `stop` came first. {TypeError | RangeError} an option
   */
  async reload(options: ReloadOptions = {}): Promise<{ generation: number }> {
    const settled = settleReload(options, this.#options)
    await this.#here()
    return this.#generations.reload(settled).finally(() => this.#staff.changed())
  }

  /**
   * Replaces the worker of a place, as a reload replaces all: another is started there, and when it listens it takes over,
   * and the one before drains. Settles when that is gone.
   * @throws {RangeError} there is no such place; {HandoverError} ERR_HANDOVER_WORKERS_FAILED: the new one ended, or did not
   *   listen in time, or a reload came first: who served does so still; ERR_HANDOVER_STOPPED: nothing runs, or `stop` came first
   */
  async replace(worker: number): Promise<void> {
    await this.#here()
    await this.#staff.replace(worker)
  }

  /** Sends JSON to a worker's program, whose `worker.on('message')` has it. @see AppMessages.send */
  send(worker: number, message: unknown): boolean {
    return this.#staff.send(worker, message)
  }

  /** Sends JSON to the programs of all workers that serve; one that does not read is left out. @returns to how many */
  broadcast(message: unknown): number {
    return this.#staff.broadcast(message)
  }

  /**
   * Starts further workers in places of their own, or lets some finish; settles when that is done. Those that stay keep their
   * numbers, and later reloads have as many.
   * @param workers  how many there are to be, from 1, of a `group`, or of none
   * @throws {HandoverError} ERR_HANDOVER_WORKERS_FAILED: new ones do not get ready, and all is as before; _STOPPED.
   *   {TypeError | RangeError} no such group or number
   */
  async scale(workers: number, group?: string): Promise<void> {
    await this.#here()
    await this.#generations.scale(workers, group ?? null).finally(() => this.#staff.changed())
  }

  /** What can only be asked of one that runs, and is nobody else's. @throws {HandoverError} ERR_HANDOVER_STOPPED, _REPLACED */
  async #here(): Promise<void> {
    if (this.#started === null) throw new HandoverError('ERR_HANDOVER_STOPPED', 'this supervisor was not started')
    await this.#started.catch(() => {})
    if (this.#stopping !== null) throw stopped()
    this.#succession.check()
  }

  /** Accepts what waits, closes the ports, lets workers finish within `milliseconds`, and settles when all are gone. */
  async stop(milliseconds = this.#options.drainTimeout): Promise<void> {
    this.#stopping ??= this.#succession.end(milliseconds, () => this.#stop(milliseconds))
    return this.#stopping
  }

  /** Ends everything at once; connections in the workers are cut. */
  kill(): Promise<void> {
    const done = this.stop(0)
    for (const slot of this.#generations.slots) slot.kill()
    return done
  }

  /** Hands a live connection of this process to a worker. Takes the socket. @see MasterHandOvers.give */
  async handOver(socket: LiveConnection, options: SupervisorHandOverOptions): Promise<void> {
    this.#succession.check()
    return this.#handOvers.give(socket, options)
  }

  /** Takes connections that workers hand to 'master' under this name. Gives the socket. @returns what ends it */
  onHandOver<State = unknown>(as: string, taken: (socket: net.Socket, state: State) => void): () => void {
    return this.#handOvers.takes.add(as, taken as (socket: net.Socket, state: unknown) => void)
  }

  /**
   * Hands all of it over to a supervisor that takes over at the other end of the channel; then only exiting is left to do.
   * Takes the channel. @see startHeir @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED: it goes on as before; _STOPPED, _REPLACED
   */
  handOverTo(channel: Channel, options: HandOverToOptions = {}): Promise<void> {
    return this.#succession.handOverTo(channel, options)
  }

  /**
   * Takes all of it over from the supervisor at the other end of the channel, which it takes. The options are those of the
   * next generation. @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED: the other goes on. {TypeError | RangeError} an option
   */
  static async takeOver(channel: Channel, options: SupervisorOptions): Promise<Supervisor> {
    const supervisor = orClose(channel, () => new Supervisor(options))
    for (const thing of (await supervisor.goOn(channel)).values()) thing.close()
    return supervisor
  }

  /** The same for one that was not started. Gives what came `along`. */
  goOn(channel: Channel): Promise<Map<string, Descriptor>> {
    const done = this.#succession.takeOver(channel)
    this.#started = done.then(() => {})
    this.#started.catch(() => {}) // whoever called hears of it
    return done
  }

  /** Opens ports through whoever keeps them beyond the end of this process: before `start`, or after `takeOver`. */
  keepPorts(keeper: PortKeeper): this {
    this.#ports.keeper = keeper
    return this
  }

  status(): SupervisorStatus {
    return statusOf(this.#generations, this.#ports, this.#dispatcher, this.#setbacks)
  }

  async #stop(milliseconds: number): Promise<void> {
    for (const part of [this.#stalls, this.#staff, this.#tickets]) part?.stop()
    this.#ports.retire()
    const gone = this.#generations.stop(milliseconds)
    this.#dispatcher.giveUp() // the workers take nothing new from now on
    await gone
    this.#ports.clear()
    this.#startUp.fail(new HandoverError('ERR_HANDOVER_STOPPED', 'stopped before any worker listened'))
  }

  #slotOwner(): SlotOwner {
    return slotOwner(this.#options, this.#handOvers.relay, this.#ports, this.#dispatcher, {
      emit: (name, event) => this.emit<'started' | 'line'>(name as 'line', event as never),
      started: (slot) => this.#staff.started(slot),
      message: (slot, target, message) => {
        if (!this.#staff.hears(slot, message)) this.#words.hear(slot, target, message)
      },
      line: (slot, text) => this.#generations.output.add(slot, text),
      ended: (slot, end, wait) => this.#ended(slot, end, wait),
    })
  }

  #rotated(): void {
    this.#succession.pass(() => {
      for (const slot of this.#generations.slots) if (slot.state === 'ready') this.#tickets?.tell(slot)
    })
  }

  #ready(slot: Slot, target: ChannelTarget, ports: readonly number[]): void {
    if (!this.#generations.listens(slot)) return
    const first = slot.state === 'starting'
    slot.ready(target)
    this.#tickets?.tell(slot) // before the first connection
    if (this.#generations.serves(slot)) this.#ports.attach(target, ports)
    this.#startUp.ready()
    this.#generations.step()
    if (first) this.emit('ready', told(slot))
  }

  #ended(slot: Slot, end: WorkerEnd, wait: number): boolean {
    const stopping = this.#stopping !== null
    const expected = stopping ? !this.#failed : !this.#generations.isKept(slot) && !this.#generations.prepares(slot)
    const refusal = this.#words.refusal(slot)
    const failure = stopping ? null : this.#startUp.verdict(end, refusal)
    this.#generations.ended(slot, end, refusal) // which may roll a reload back: then nobody takes its place
    const again = !stopping && this.#generations.isKept(slot) && failure === null && !this.#staff.died(slot)
    this.emit('ended', { ...told(slot), end, expected, restartIn: again ? wait : null })
    if (failure !== null) this.#fail(failure)
    return again && this.#stopping === null // a listener may have stopped it all
  }

  #fail(error: Error): void {
    if (this.#stopping !== null) return // an end that was asked for is none
    this.#failed = true
    const told = this.#startUp.failing()
    void this.stop(0).then(() => (told === null ? this.emit('failed', { error }) : told(error)))
  }
}
