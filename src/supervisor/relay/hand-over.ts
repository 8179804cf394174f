import type net from 'node:net'
import { checkOptions, shown, wholeMilliseconds } from '../../arguments.js'
import type { SendOptions } from '../../channel/options.js'
import type { Dispatcher } from '../../dispatch/dispatcher.js'
import { HandoverError } from '../../errors.js'
import type { Route } from '../../handshake/verdict.js'
import { FLUSH_TIMEOUT } from '../../limits.js'
import { reasonOf } from '../../sendmsg/abort.js'
import { CONTENTS, checkRoute, type HandOverContents, packing } from '../../transport/hand-over.js'
import type { Transport } from '../../transport/transport.js'
import type { HandOverMessage } from '../../wire/control.js'
import type { PortRegistry } from '../ports/port-registry.js'
import { MasterTakes } from './master-takes.js'
import { Relay } from './relay.js'

export type LiveConnection = net.Socket | Transport

/** How a master hands a connection of its own to a worker. `as` or `port` says what it is served by. */
export interface SupervisorHandOverOptions extends HandOverContents, SendOptions {
  /** The number of a port, or the path, that workers listen on: it is served there as if it had come to that. */
  port?: number | string
  /** Who is to have it: `group`, exactly that `worker`, or by `key`. Default: any that takes it, by fewest connections. */
  to?: Route
}

const KNOWN = [...CONTENTS, 'port', 'to', 'timeout', 'signal', 'flushTimeout']

/** The connections that go from worker to worker, and from the master to them. */
export class MasterHandOvers {
  readonly relay: Relay
  /** Connections that workers give back. */
  readonly takes = new MasterTakes()
  readonly #ports: PortRegistry
  readonly #dispatcher: Dispatcher
  readonly #maxTotal: number

  /**
   * @param maxTotal  connections that all workers together may have
   * @param serves  whether connections may go to a place
   */
  constructor(ports: PortRegistry, dispatcher: Dispatcher, maxTotal: number, serves: (place: object) => boolean) {
    this.relay = new Relay({
      serves,
      portsOf: (place) => ports.portsOf([place]),
      take: (relayed) => this.takes.take(relayed),
    })
    this.#ports = ports
    this.#dispatcher = dispatcher
    this.#maxTotal = maxTotal
  }

  /**
   * Hands a live connection of the master to a worker: to what it gave `onHandOver` as `as`, or to the server there that
   * listens on `port`. Takes the socket, as the workers' own `handOver` does: if it rejects it goes on here as before.
   * @throws {HandoverError} ERR_HANDOVER_REFUSED: no worker takes it; _NOT_MOVABLE: it cannot leave; _TIMED_OUT
   * @throws {TypeError | RangeError} a wrong argument; the signal's reason
   */
  async give(socket: LiveConnection, options: SupervisorHandOverOptions): Promise<void> {
    checkOptions(options, KNOWN)
    const { as, port, to, timeout, signal, flushTimeout = FLUSH_TIMEOUT } = options
    wholeMilliseconds('flushTimeout', flushTimeout)
    const pack = packing(socket, options)
    if (as !== undefined && port !== undefined) throw new TypeError('port: only without `as`, which says who takes it')
    const message: HandOverMessage = {
      type: 'handOver',
      ...(as === undefined ? { ports: portsOf(port, this.#ports) } : { as }),
      ...(to === undefined ? {} : { to: checkRoute(to) }),
    }
    if (signal?.aborted) throw reasonOf(signal)
    const room = (): void => this.#checkRoom()
    room()
    const stop = { ...(timeout === undefined ? {} : { timeout }), ...(signal === undefined ? {} : { signal }) }
    return this.relay.give(message, () => pack({ flushTimeout }), stop, room)
  }

  #checkRoom(): void {
    if (this.relay.load + this.#dispatcher.waiting < this.#maxTotal) return
    throw new HandoverError('ERR_HANDOVER_REFUSED', 'the workers have as many connections as they may in all')
  }
}

function portsOf(port: unknown, registry: PortRegistry): readonly number[] {
  if (typeof port !== 'number' && typeof port !== 'string') {
    throw new TypeError(`port: a number or a path, where there is no \`as\`, not ${shown(port)}`)
  }
  const ports = registry.at(port)
  if (ports.length > 0) return ports
  throw new HandoverError('ERR_HANDOVER_REFUSED', `no worker listens on ${port}`)
}
