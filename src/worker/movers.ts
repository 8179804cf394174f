import type http from 'node:http'
import type net from 'node:net'
import type { HandoverError } from '../errors.js'
import { OFFERS_UNSETTLED_MAX } from '../limits.js'
import { httpState, idleConnections } from '../runtime/node-http.js'
import { packing } from '../transport/hand-over.js'
import { isHere, isMovable } from '../transport/movable.js'
import { give } from './give.js'
import type { MasterLink } from './master-link.js'

/**
 * Hands the connections of HTTP servers over as they become idle. One that nobody takes ends here, as it would without a
 * successor: between two requests at once, before the first after a while.
 */
export class Movers {
  readonly #link: MasterLink
  readonly #servers: ReadonlySet<net.Server>
  /** Nobody took them. */
  readonly #stay = new WeakSet<net.Socket>()
  #moving = 0
  #silentEnd = false
  #soon = false

  constructor(link: MasterLink, servers: readonly net.Server[]) {
    this.#link = link
    this.#servers = new Set(servers)
  }

  has(server: net.Server): boolean {
    return this.#servers.has(server)
  }

  /** @param close  closes the port of a server, and nothing else */
  start(close: (server: net.Server) => void): void {
    for (const server of this.#servers) {
      close(server)
      server.on('request', this.#answered)
    }
    this.sweep()
  }

  /** From now on connections on which nothing has come end too, if nobody takes them. */
  endSilent(): void {
    this.#silentEnd = true
  }

  /** Clients that ask without a pause are idle right behind an answer, and hardly ever else. */
  readonly #answered = (_: http.IncomingMessage, response: http.ServerResponse): void => {
    const { socket } = response
    response.once('finish', () => {
      if (socket === null) return
      setImmediate(() => {
        if (httpState(socket) === 'idle') this.#move(socket)
      })
    })
  }

  /** Moves what is idle now, as far as there is room on the way. */
  sweep(): void {
    for (const server of this.#servers) for (const socket of idleConnections(server)) this.#move(socket)
  }

  /** @param socket  it is idle */
  #move(socket: net.Socket): void {
    if (!isHere(socket) || socket.destroyed) return
    if (this.#stay.has(socket) || !isMovable(socket)) {
      if (socket.bytesRead > 0 || this.#silentEnd) socket.destroy()
      return
    }
    // No more than is offered at once: what would only wait can answer here meanwhile.
    if (this.#moving >= OFFERS_UNSETTLED_MAX) return
    this.#moving += 1
    this.#give(socket).then(
      () => {
        this.#moving -= 1
        this.#sweepSoon()
      },
      (error: HandoverError) => {
        this.#moving -= 1
        // What cannot leave now may do so behind its next answer; nobody else is waited for.
        if (error.code !== 'ERR_HANDOVER_NOT_MOVABLE') this.#stay.add(socket)
      },
    )
  }

  async #give(socket: net.Socket): Promise<void> {
    await give(this.#link, socket, packing(socket, {}))
  }

  #sweepSoon(): void {
    if (this.#soon) return
    this.#soon = true
    setImmediate(() => {
      this.#soon = false
      this.sweep()
    })
  }
}
