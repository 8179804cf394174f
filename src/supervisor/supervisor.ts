import { EventEmitter } from 'node:events'
import type net from 'node:net'
import type { Channel } from '../channel/channel.js'
import { Dispatcher } from '../dispatch/dispatcher.js'
import type { GivenBack } from '../dispatch/target.js'
import { HandoverError } from '../errors.js'
import { STATUS_DELAY } from '../limits.js'
import { scheduleAsBatch, scheduledAsUsual } from '../syscalls/schedule.js'
import type { ChannelTarget } from './channel-target.js'
import type { SupervisorEvents, Told } from './events.js'
import { Gate } from './gate.js'
import { Generations } from './generations.js'
import { type LiveConnection, MasterHandOvers, type SupervisorHandOverOptions } from './hand-over.js'
import {
  type ReloadOptions,
  type SettledOptions,
  type SupervisorOptions,
  settleOptions,
  settleReload,
} from './options.js'
import type { PortKeeper } from './port-keeper.js'
import { PortRegistry } from './port-registry.js'
import { Setbacks } from './setbacks.js'
import type { Slot, SlotOwner } from './slot.js'
import { StallWatch } from './stalls.js'
import { StartUp } from './start-up.js'
import { type SupervisorStatus, statusOf } from './status.js'
import type { HandOverToOptions } from './succession/hand-over-to.js'
import { orClose, Succession } from './succession/succession.js'
import { TicketSecrets } from './ticket-secrets.js'
import type { WorkerEnd } from './worker.js'
import { startProcess } from './worker-process.js'
import { startThread } from './worker-thread.js'
import { WorkerWords } from './worker-words.js'

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
  readonly #succession: Succession
  #failed = false
  readonly #stalls = new StallWatch(
    () => this.status().workers,
    (name, event) => this.emit(name, event),
  )
  /** Null: servers see to their tickets themselves. */
  readonly #tickets: TicketSecrets | null
  #started: Promise<void> | null = null
  #stopping: Promise<void> | null = null
  #settleStart: { resolve(): void; reject(error: Error): void } | null = null

  /** @throws {RangeError | TypeError} an option out of range */
  constructor(options: SupervisorOptions) {
    super()
    this.#options = settleOptions(options)
    const { places, limit, maxTotal, policy, backlog, threads, batchScheduling, handshakes, ticketRotation } =
      this.#options
    if (batchScheduling) scheduleAsBatch()
    this.#dispatcher = new Dispatcher({
      policy,
      limit: maxTotal,
      allGrouped: places.every(({ group }) => group !== null),
      onExhausted: (error) => this.emit('exhausted', { error }),
      onPolicyError: (error) => this.emit('policyError', { error }),
      onSetback: (setback, reason, connections, of) => this.#setbacks.add(setback, reason, connections, of),
    })
    // A limit waits for every place that becomes free, and a policy of the user's own decides by the numbers.
    const prompt = Number.isFinite(limit) || Number.isFinite(maxTotal) || typeof policy === 'function'
    this.#ports = new PortRegistry(this.#dispatcher, backlog, prompt ? 0 : STATUS_DELAY, handshakes)
    this.#tickets = ticketRotation === 0 ? null : new TicketSecrets(ticketRotation, () => this.#rotated())
    const serves = (slot: object): boolean => this.#generations.serves(slot as Slot)
    this.#handOvers = new MasterHandOvers(this.#ports, this.#dispatcher, maxTotal, serves)
    this.#words = new WorkerWords(this.#ports, {
      emit: (name, event) => void this.emit<'listening' | 'refused' | 'cut'>(name, event as never),
      ready: (slot, target, ports) => this.#ready(slot, target, ports),
      step: () => this.#generations.step(),
    })
    const slotOwner = this.#slotOwner(limit, threads)
    this.#generations = new Generations(places, slotOwner, this.#ports, (name, event) => {
      this.emit<'reloading' | 'switched' | 'reloaded'>(name, event as never)
    })
    this.#succession = this.#successionOf(slotOwner)
  }

  /**
   * Starts the workers; settles when the first of them listens, or takes hand-overs and listens nowhere.
   * @throws {SyscallError} the port is not to be had; {HandoverError} ERR_HANDOVER_WORKERS_FAILED: they end before
   *   they listen, …_STOPPED: `stop` came first, or this is the second start. Everything is stopped then.
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
    this.#stalls.start()
    this.#tickets?.start()
    const ready = new Promise<void>((resolve, reject) => {
      this.#settleStart = { resolve, reject }
    })
    this.#generations.start()
    await ready
  }

  /**
   * Starts a new generation of workers next to the one that serves, differing in `options`; when all of it listens, new
   * connections are its own, and the old workers finish theirs. Settles when those are gone. Reloads wait for each other.
   * @throws {HandoverError} ERR_HANDOVER_WORKERS_FAILED: a new worker ended or did not listen in time, and the old ones
   *   serve as before; ERR_HANDOVER_STOPPED: nothing runs, or `stop` came first. {TypeError | RangeError} an option
   */
  async reload(options: ReloadOptions = {}): Promise<{ generation: number }> {
    const settled = settleReload(options, this.#options.drainTimeout)
    if (this.#started === null) throw new HandoverError('ERR_HANDOVER_STOPPED', 'this supervisor was not started')
    await this.#started.catch(() => {})
    this.#succession.check()
    return this.#generations.reload(settled)
  }

  /**
   * Accepts what waits, closes the ports, lets workers finish what they have, and settles when all are gone.
   * @param milliseconds  that workers have; default `drainTimeout`
   */
  stop(milliseconds = this.#options.drainTimeout): Promise<void> {
    this.#stopping ??= this.#succession.end(() => this.#stop(milliseconds))
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
   * Hands everything over to a supervisor that takes over at the other end of the channel: ports, workers, what waits. When
   * this settles nothing of it is here, and all that is left to do is to exit. Takes the channel. @see startHeir
   * @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED: it goes on as before; ERR_HANDOVER_STOPPED, _REPLACED
   */
  handOverTo(channel: Channel, options: HandOverToOptions = {}): Promise<void> {
    return this.#succession.handOverTo(channel, options)
  }

  /**
   * Takes everything over from the supervisor at the other end of the channel, whose workers serve on. The options are
   * those of the next generation; ports to `listen` on that are not there yet are opened. Takes the channel.
   * @throws {HandoverError} ERR_HANDOVER_NOT_REPLACED: the other goes on as before. {TypeError | RangeError} an option
   */
  static async takeOver(channel: Channel, options: SupervisorOptions): Promise<Supervisor> {
    const supervisor = orClose(channel, () => new Supervisor(options))
    supervisor.#started = supervisor.#succession.takeOver(channel)
    await supervisor.#started
    return supervisor
  }

  #successionOf(slotOwner: SlotOwner): Succession {
    const owner = {
      options: this.#options,
      startUp: this.#startUp,
      stalls: this.#stalls,
      isRunning: () => this.#started !== null && this.#stopping === null,
      replaced: (pid: number) => this.emit('replaced', { pid }),
    }
    const [gate, dispatcher, generations] = [slotOwner.gate, this.#dispatcher, this.#generations]
    const [ports, setbacks, tickets] = [this.#ports, this.#setbacks, this.#tickets]
    return new Succession({ gate, dispatcher, generations, ports, setbacks, tickets, slotOwner }, owner)
  }

  /** Opens ports through whoever keeps them beyond the end of this process. Before `start`, or after `takeOver`. */
  keepPorts(keeper: PortKeeper): this {
    this.#ports.keeper = keeper
    return this
  }

  status(): SupervisorStatus {
    return statusOf(this.#generations.slots, this.#ports, this.#dispatcher, this.#setbacks)
  }

  async #stop(milliseconds: number): Promise<void> {
    this.#stalls.stop()
    this.#tickets?.stop()
    this.#ports.retire()
    const gone = this.#generations.stop(milliseconds)
    this.#dispatcher.giveUp() // the workers take nothing new from now on
    await gone
    this.#ports.clear()
    this.#settleStart?.reject(new HandoverError('ERR_HANDOVER_STOPPED', 'stopped before any worker listened'))
  }

  #slotOwner(limit: number, threads: boolean): SlotOwner {
    return {
      limit,
      gate: new Gate(),
      orphans: this.#options.orphans,
      drainTimeout: this.#options.drainTimeout,
      relay: this.#handOvers.relay,
      start: (program, handlers) => scheduledAsUsual(() => (threads ? startThread : startProcess)(program, handlers)),
      started: (slot) => this.emit('started', told(slot)),
      message: (slot, target, message) => this.#words.hear(slot, target, message),
      line: (slot, stream, text) => this.#line({ worker: slot.number, stream, text }),
      lostChannel: (slot, target, error, returned) => {
        // Listeners come last: one that throws must not cost a connection.
        this.#dispatcher.detach(target)
        this.#dispatcher.takeBack(returned as GivenBack)
        if (error !== null) this.emit('broken', { worker: slot.number, error })
      },
      sentBack: (slot, _target, returned) => {
        this.#dispatcher.takeBack(returned as GivenBack)
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

  #rotated(): void {
    this.#succession.pass(() => {
      for (const slot of this.#generations.slots) if (slot.state === 'ready') this.#tellTickets(slot)
    })
  }

  /** One that does not read, and for whom so much waits that no more may, learns the next ones. */
  #tellTickets(slot: Slot): void {
    try {
      if (this.#tickets !== null) slot.tell(this.#tickets.order)
    } catch {}
  }

  #ready(slot: Slot, target: ChannelTarget, ports: readonly number[]): void {
    const first = slot.state === 'starting'
    slot.ready(target)
    this.#tellTickets(slot) // before the first connection
    if (this.#generations.serves(slot)) this.#ports.attach(target, ports)
    this.#startUp.ready()
    this.#settleStart?.resolve()
    this.#settleStart = null
    this.#generations.step()
    if (first) this.emit('ready', told(slot))
  }

  #ended(slot: Slot, end: WorkerEnd, wait: number): boolean {
    const stopping = this.#stopping !== null
    const serves = this.#generations.serves(slot)
    const expected = stopping ? !this.#failed : !serves && !this.#generations.prepares(slot)
    const refusal = this.#words.refusal(slot)
    const failure = stopping ? null : this.#startUp.verdict(end, refusal)
    const again = !stopping && serves && failure === null
    const restartIn = again ? wait : null
    this.#generations.ended(slot, end, refusal)
    this.emit('ended', { ...told(slot), end, expected, restartIn })
    if (failure !== null) this.#fail(failure)
    return again && this.#stopping === null // a listener may have stopped it all
  }

  #fail(error: Error): void {
    this.#failed = true
    const settle = this.#settleStart
    this.#settleStart = null
    void this.stop(0).then(() => settle?.reject(error))
  }
}

/** Which worker an event is about. */
function told({ number, pid, generation }: Slot): Told {
  return { worker: number, pid, generation }
}
