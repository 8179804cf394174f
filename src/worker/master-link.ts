import type net from 'node:net'
import { inheritedLink } from '../bootstrap/inherit.js'
import type { Link } from '../channel/link.js'
import { diagnostics, publish } from '../diagnostics.js'
import { errnoOf, type HandoverError } from '../errors.js'
import { LISTEN_REPLY_MAX } from '../limits.js'
import { close, closeMany } from '../syscalls/descriptor.js'
import type { DrainOrder, FromMaster, FromWorker, ListenReply, Reply } from '../wire/control.js'
import { Acceptors } from './acceptors.js'
import { AppWorker } from './app-worker.js'
import { HandOvers } from './hand-overs.js'
import { Heartbeat } from './heartbeat.js'
import type { PortHandle, PortOwner, PortRequest } from './port-handle.js'
import { ServedPorts } from './served-ports.js'
import { Tickets } from './tickets.js'

/** What becomes of the worker when the master says so, or goes. */
export interface MasterHandlers {
  /** Take nothing new, finish what is open. */
  drain(order: DrainOrder): void
  /** The master is gone. */
  orphaned(): void
}

/** The worker's side of the channel to its master: asks for ports, takes connections, reports what becomes of them. */
export class MasterLink implements PortOwner {
  /** Connections to and from other workers. */
  readonly handOvers: HandOvers
  /** What the program itself sees of this. */
  readonly app: AppWorker
  readonly #channel: Link
  readonly #served = new ServedPorts()
  readonly #tickets = new Tickets()
  readonly #heartbeat = new Heartbeat((beat) => this.#try(beat))
  readonly #acceptors: Acceptors
  #statusDelay = Number.POSITIVE_INFINITY
  /** The answer to `listen` may come together with the port's first connections, in one read. */
  #asking = false
  #asked = 0
  #adopted = 0
  #finished = 0
  #draining = false
  #allFinished: (() => void) | null = null

  /** Takes the inheritedLink channel. @throws {HandoverError} as `inheritedLink` */
  constructor(handlers: MasterHandlers) {
    this.handOvers = this.#handOvers()
    const link = this
    this.#acceptors = new Acceptors({
      get open() {
        return link.open
      },
      accepted: (port, descriptors) => {
        this.#channel.finish(0, descriptors.length)
        this.#deliver(port, descriptors, null)
      },
    })
    const send = (word: FromWorker, spare: number): void => this.#channel.send(word, spare)
    this.app = new AppWorker({ send, countReferences: () => this.countReferences() }, process.env)
    this.#channel = inheritedLink({
      ...this.handOvers.handlers(() => this.#channel),
      willing: (port) => this.#served.handle(port) !== undefined || (this.#asking && !this.#served.wasShut(port)),
      transports: (port, descriptors, details) => this.#deliver(port, descriptors, details),
      port: (port, descriptor) => this.#acceptFrom(port, descriptor),
      message: (message) => {
        const order = (message ?? {}) as FromMaster
        if (order.type === 'drain') handlers.drain(order)
        else if (order.type === 'tickets') this.#tickets.update(order.keys)
        else if (order.type === 'heartbeat') this.#heartbeat.start(order.milliseconds)
        else if (order.type === 'message') this.app.hear(order)
        else if (order.type === 'refrain') this.#acceptors.close(order.port, order.last)
      },
      closed: () => {
        this.handOvers.lost()
        this.#heartbeat.stop()
        this.#acceptors.closeAll() // no master tells to refrain: the ports are for whoever comes next
        handlers.orphaned()
      },
    })
    this.#channel.referenced = false
  }

  #handOvers(): HandOvers {
    const link = this
    return new HandOvers({
      get draining() {
        return link.#draining
      },
      objection: (ports) => {
        const handle = this.#served.handle(...ports)
        if (handle === undefined) return 'no server of it listens on that port'
        return handle.isFull ? 'its server has maxConnections' : null
      },
      serverOf: (ports) => {
        const handle = this.#served.handle(...ports)
        return handle && ((socket) => handle.join(socket))
      },
      adopted: () => {
        this.#adopted += 1
      },
      finished: this.#finish,
      takes: (names) => {
        this.#tell({ type: 'takes', names })
        this.countReferences()
      },
      given: () => this.countReferences(),
      settled: () => {
        this.countReferences()
        this.#checkFinished()
      },
    })
  }

  /** The master's numbers of the ports that a server listens on, or did; none: it is no server of the master's ports. */
  portsOf(server: net.Server): number[] {
    return this.#served.portsOf(server)
  }

  /** Connections adopted here that are not closed yet. */
  get open(): number {
    return this.#adopted - this.#finished
  }

  get handles(): PortHandle[] {
    return this.#served.handles
  }

  /**
   * Asks the master to listen, and waits for its answer, as `listen(2)` would.
   * @param request  null: take part in whatever ports the master dispatches
   * @returns the answer, or a negative errno
   */
  listen(handle: PortHandle, request: PortRequest | null): ListenReply | number {
    const id = ++this.#asked
    const reply = this.#ask(
      request === null ? { type: 'serve', id } : { type: 'listen', id, ...request, nth: this.#served.nth(request) },
    )
    if (reply.type === 'failed') return errnoOf(reply.code)
    if (reply.type !== 'listening') return errnoOf('EPROTO')
    this.#statusDelay = Math.min(this.#statusDelay, reply.statusDelay ?? 0)
    this.#channel.statusDelay = this.#statusDelay
    this.#acceptors.most = reply.most ?? Number.POSITIVE_INFINITY
    this.#served.add(handle, reply.ports)
    this.#tickets.add(handle.server, reply.ports[0] ?? 0)
    this.countReferences()
    return reply
  }

  /** The application closed a port. */
  shut(handle: PortHandle): void {
    this.#tickets.remove(handle.server)
    for (const port of this.#served.remove(handle)) {
      this.#acceptors.close(port, false)
      if (!this.#draining) this.#tell({ type: 'close', port })
    }
    this.countReferences()
  }

  /** @returns 0 or a negative errno */
  chmod(port: number, mode: { mode: number; keep: boolean }): number {
    const reply = this.#ask({ type: 'chmod', id: ++this.#asked, port, ...mode })
    return reply.type === 'failed' ? errnoOf(reply.code) : 0
  }

  /**
   * Listening keeps a process alive, unless the server is unref'ed: so does the channel, as long as any is not. So does a
   * connection on its way, and, in a program that never listened, that it takes others' connections.
   */
  countReferences(): void {
    const { pending, names } = this.handOvers
    const takesOnly = this.#asked === 0 && names.length > 0 && !this.#draining
    const listens = this.app.listens && !this.#draining
    this.#channel.referenced = pending > 0 || takesOnly || listens || this.handles.some((handle) => handle.isReferenced)
  }

  /**
   * The program takes others' connections. One that has asked for no port by the next turn waits for nothing else: it is
   * ready, as one that listens is.
   */
  takesOthers(): void {
    setImmediate(() => {
      if (this.#asked === 0 && this.handOvers.names.length > 0 && !this.#draining) this.#tell({ type: 'ready' })
    })
  }

  /** Tells the master without waiting; nothing happens when it is gone. */
  #tell(notice: FromWorker): void {
    if (!this.#channel.closed) this.#channel.send(notice)
  }

  /** The same, of what is not worth more than a try: a master that does not read has other troubles. */
  #try(notice: FromWorker): void {
    try {
      this.#tell(notice)
    } catch {}
  }

  /** Tells the master that what is still open is being cut. */
  cut(): void {
    if (this.open > 0) this.#tell({ type: 'cut', connections: this.open })
  }

  /**
   * From now on closed ports are not the application's wish, and `done` is called when nothing is open any more.
   * @param first  what is waited for in any case
   */
  startDraining(done: () => void, first: Promise<void>): void {
    this.#draining = true
    this.countReferences()
    void first.then(() => {
      this.#allFinished = () => {
        this.#tell({ type: 'drained' })
        done()
      }
      this.#checkFinished()
    })
  }

  #ask(request: FromWorker & { id: number }): Reply {
    const isReply = (message: unknown): message is Reply => (message as FromMaster as Reply).reply === request.id
    this.#asking = true
    try {
      this.#channel.send(request)
      return this.#channel.waitFor(isReply, LISTEN_REPLY_MAX)
    } catch (error) {
      // The program gets it as any error of `listen`: an event of its server, and no exception where none is awaited.
      const code = (error as HandoverError).code === 'ERR_HANDOVER_NO_ANSWER' ? 'ETIMEDOUT' : 'EPIPE'
      return { type: 'failed', reply: request.id, code }
    } finally {
      this.#asking = false
    }
  }

  /** Takes the descriptor of a port to accept from; null: there was no room for it. */
  #acceptFrom(port: number, descriptor: number | null): void {
    if (descriptor !== null && this.#served.handle(port) === undefined) return close(descriptor) // just closed
    try {
      if (descriptor === null) this.#tell({ type: 'noPort', port })
      else this.#acceptors.open(port, descriptor)
    } catch {
      this.#tell({ type: 'noPort', port })
    }
  }

  /**
   * The server may have closed between claim and delivery, within one turn: then its connections are closed, as those
   * in the kernel's queue would be.
   */
  #deliver(port: number, descriptors: Int32Array, details: readonly unknown[] | null): void {
    this.#adopted += descriptors.length
    if (diagnostics.adopt.hasSubscribers) {
      publish<'handover:adopt'>(diagnostics.adopt, { port, connections: descriptors.length })
    }
    const handle = this.#served.handle(port)
    if (handle !== undefined) return handle.deliver(descriptors, details, this.#finish)
    closeMany(descriptors)
    for (let i = 0; i < descriptors.length; i++) this.#finish()
  }

  readonly #finish = (): void => {
    this.#finished += 1
    this.#channel.finish(1)
    this.#acceptors.roomier()
    this.#checkFinished()
  }

  #checkFinished(): void {
    if (this.open > 0 || this.handOvers.pending > 0 || this.#allFinished === null) return
    const done = this.#allFinished
    this.#allFinished = null
    setImmediate(done)
  }
}
