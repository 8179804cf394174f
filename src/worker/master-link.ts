import { inherited } from '../bootstrap/inherit.js'
import type { Channel } from '../channel/channel.js'
import { errnoOf } from '../errors.js'
import { LISTEN_REPLY_MAX } from '../limits.js'
import { close } from '../syscalls/descriptor.js'
import type { DrainOrder, FromMaster, FromWorker, ListenReply, Reply } from '../wire/control.js'
import type { ListenPlace } from './node-internals.js'
import { type PortHandle, type PortOwner, placeFlags } from './port-handle.js'

/** What becomes of the worker when the master says so, or goes. */
export interface LinkHandlers {
  /** Take nothing new, finish what is open within so many milliseconds. */
  drain(milliseconds: number): void
  /** The master is gone. */
  orphaned(): void
}

/** The worker's side of the channel to its master: asks for ports, takes connections, reports what becomes of them. */
export class MasterLink implements PortOwner {
  readonly #channel: Channel
  readonly #ports = new Map<number, PortHandle[]>()
  /** Ports the application closed: connections that were on their way go back. */
  readonly #shut = new Set<number>()
  /** The answer to `listen` may come together with the port's first connections, in one read. */
  #asking = false
  #asked = 0
  #adopted = 0
  #finished = 0
  #draining = false
  #allFinished: (() => void) | null = null

  /** Takes the inherited channel. @throws {HandoverError} as `inherited` */
  constructor(handlers: LinkHandlers) {
    this.#channel = inherited({
      willing: (port) => this.#portHandle(port) !== undefined || (this.#asking && !this.#shut.has(port)),
      transports: (port, descriptors) => this.#deliver(port, descriptors),
      message: (message) => {
        const { type, milliseconds } = message as DrainOrder
        if (type === 'drain') handlers.drain(milliseconds)
      },
      closed: (_error, returned) => {
        if (returned.descriptors.length > 0) throw new Error('a worker offers no transports')
        handlers.orphaned()
      },
    })
    this.#channel.referenced = false
  }

  /** Connections adopted here that are not closed yet. */
  get open(): number {
    return this.#adopted - this.#finished
  }

  get handles(): PortHandle[] {
    return [...new Set([...this.#ports.values()].flat())]
  }

  /**
   * Asks the master to listen, and waits for its answer, as `listen(2)` would.
   * @param place  null: take part in whatever ports the master dispatches
   * @returns the answer, or a negative errno
   */
  listen(handle: PortHandle, place: ListenPlace | null, backlog: number): ListenReply | number {
    const request = { id: ++this.#asked }
    const reply = this.#ask(
      place === null
        ? { ...request, type: 'serve' }
        : {
            ...request,
            ...placeFlags(place),
            type: 'listen',
            host: place.address ?? '',
            port: place.port,
            backlog,
            nth: this.handles.filter((other) => other.key === handle.key).length,
          },
    )
    if (reply.type === 'failed') return errnoOf(reply.code)
    if (reply.type !== 'listening') return errnoOf('EPROTO')
    for (const port of reply.ports) {
      this.#ports.set(port, [...(this.#ports.get(port) ?? []), handle])
      this.#shut.delete(port)
    }
    this.countReferences()
    return reply
  }

  /** The application closed a port. */
  shut(handle: PortHandle): void {
    for (const [port, handles] of this.#ports) {
      const left = handles.filter((other) => other !== handle)
      if (left.length === handles.length) continue
      if (left.length > 0) this.#ports.set(port, left)
      else this.#ports.delete(port)
      if (left.length === 0) this.#shut.add(port)
      if (left.length === 0 && !this.#draining) this.#tell({ type: 'close', port })
    }
    this.countReferences()
  }

  /** @returns 0 or a negative errno */
  openUp(port: number, readable: boolean, writable: boolean): number {
    const reply = this.#ask({ type: 'open-up', id: ++this.#asked, port, readable, writable })
    return reply.type === 'failed' ? errnoOf(reply.code) : 0
  }

  /** Listening keeps a process alive, unless the server is unref'ed: so does the channel, as long as any is not. */
  countReferences(): void {
    this.#channel.referenced = this.handles.some((handle) => handle.hasRef())
  }

  /** Tells the master without waiting; nothing happens when it is gone. */
  #tell(notice: FromWorker): void {
    if (!this.#channel.closed) this.#channel.send(notice)
  }

  /** From now on closed ports are not the application's wish, and `done` is called when nothing is open any more. */
  startDraining(done: () => void): void {
    this.#draining = true
    this.#allFinished = () => {
      this.#tell({ type: 'drained' })
      done()
    }
    this.#checkFinished()
  }

  #ask(request: FromWorker & { id: number }): Reply {
    this.#channel.send(request)
    const isReply = (message: unknown): message is Reply => (message as FromMaster as Reply).reply === request.id
    this.#asking = true
    try {
      return this.#channel.waitFor(isReply, LISTEN_REPLY_MAX)
    } finally {
      this.#asking = false
    }
  }

  #portHandle(port: number): PortHandle | undefined {
    return this.#ports.get(port)?.[0]
  }

  /**
   * The server may have closed between claim and delivery, within one turn: then the connection is closed, as one
   * that was in the kernel's queue would be.
   */
  #deliver(port: number, descriptors: Int32Array): void {
    for (const descriptor of descriptors) {
      this.#adopted += 1
      this.#guarded(port, descriptor)
    }
  }

  #guarded(port: number, descriptor: number): void {
    const handle = this.#portHandle(port)
    if (handle === undefined) return this.#discard(descriptor)
    try {
      handle.deliver(descriptor, this.#finish)
    } catch (error) {
      // The application's 'connection' listener threw: as uncaught as ever, and the other connections go on.
      process.nextTick(() => {
        throw error
      })
    }
  }

  #discard(descriptor: number): void {
    close(descriptor)
    this.#finish()
  }

  readonly #finish = (): void => {
    this.#finished += 1
    this.#channel.finish(1)
    this.#checkFinished()
  }

  #checkFinished(): void {
    if (this.open > 0 || this.#allFinished === null) return
    const done = this.#allFinished
    this.#allFinished = null
    setImmediate(done)
  }
}
