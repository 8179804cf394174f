import type net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { HandoverError, SyscallError } from '../errors.js'
import type { Route } from '../handshake/verdict.js'
import { READY_RETRY, READY_TIMEOUT, WEBSOCKETS_MOVING_MAX } from '../limits.js'
import { onDrain } from '../worker/drain-handlers.js'
import { handOver, onHandOverBesides } from '../worker/hand-over.js'
import { CLOSED, insideServer, OPEN, type WebSocketLike, type WebSocketServerLike } from './inside.js'
import { putTogether } from './put-together.js'
import { mayMove, ready } from './ready.js'
import type { WebSocketState } from './state.js'
import { takeApart } from './take-apart.js'
import { prepare } from './window.js'

/** The way from worker to worker. */
export interface Ways {
  handOver(
    socket: net.Socket,
    options: { as?: string; state?: unknown; unread?: Uint8Array; to?: Route; timeout?: number },
  ): Promise<void>
  onHandOver(as: string, take: (socket: net.Socket, state: unknown) => void): () => void
  onDrain(leave: (drain: { successor: boolean; milliseconds: number }) => void | Promise<void>): () => void
}

export interface MovableOptions<Socket extends WebSocketLike> {
  /** Tells several servers of a worker apart; the same in all workers. Default: 'websocket'. */
  as?: string
  /** What the application must know to go on, as JSON; asked when nothing is delivered to this WebSocket any more. */
  state?: (ws: Socket) => unknown
  /** Here a WebSocket goes on that was another worker's: attach listeners at once, as on 'connection'. */
  resumed: (ws: Socket, state: unknown) => void
  /** Milliseconds until a WebSocket is ready to move, and again until it is claimed; default 5000. */
  timeout?: number
}

export interface MovableWebSockets<Socket extends WebSocketLike> {
  /**
   * Moves a WebSocket to another worker; its client notices nothing. Resolves when that worker has it: the object here
   * emits 'moved' instead of 'close'. If it rejects, the WebSocket goes on here.
   * @param options.to  the worker or group, as of `handOver`; default: any other that takes it
   * @throws {HandoverError} ERR_HANDOVER_NOT_MOVABLE, and as `handOver`; whatever `state` throws
   */
  move(ws: Socket, options?: { to?: Route }): Promise<void>
  /** Neither moves nor resumes any more. */
  close(): void
}

/**
 * Lets the WebSockets of a server go to other workers of the same supervisor and come from them: one by one when asked to,
 * and all of them when this worker is to finish while others go on, as in a reload. Those that cannot move drain as usual.
 * Borrows the server, which may be of any kind (`port`, `server`, `noServer`); to be called before the first opens.
 * In a program that no supervisor started nothing moves.
 * @throws {TypeError} a wrong argument; WebSockets are taken under this name already
 */
export function movableWebSockets<Socket extends WebSocketLike>(
  server: WebSocketServerLike<Socket>,
  options: MovableOptions<Socket>,
): MovableWebSockets<Socket> {
  return movableBy({ handOver, onHandOver: onHandOverBesides, onDrain }, server, options)
}

/** It was not at rest in time, or the other worker was busy. */
const LATER: ReadonlySet<string> = new Set(['ERR_HANDOVER_NOT_MOVABLE', 'ERR_HANDOVER_TIMED_OUT'])

/** As {@link movableWebSockets}, by any ways. */
export function movableBy<Socket extends WebSocketLike>(
  { handOver, onHandOver, onDrain }: Ways,
  server: WebSocketServerLike<Socket>,
  { as = 'websocket', state, resumed, timeout = READY_TIMEOUT }: MovableOptions<Socket>,
): MovableWebSockets<Socket> {
  if (typeof resumed !== 'function') throw new TypeError('resumed: a function that goes on with a WebSocket')
  const members = new Members(server, (ws) => {
    if (leaving) setImmediate(() => void moveAll([ws], timeout))
  })
  let leaving = false

  const move = async (ws: Socket, to?: Route, most = timeout): Promise<void> => {
    await ready(ws, { timeout: most })
    const apart = takeApart(server, ws)
    try {
      const said = { ws: apart.state, application: state?.(ws) }
      await handOver(apart.socket, {
        as,
        state: said,
        unread: apart.unread,
        timeout: most,
        ...(to !== undefined && { to }),
      })
    } catch (error) {
      apart.restore()
      throw error
    }
    apart.moved()
  }

  /** What is not at rest in time is tried again; what cannot move stays, and ends with the drain. @throws what is the program's fault */
  const moveAll = async (sockets: Iterable<Socket>, milliseconds: number): Promise<void> => {
    const left = [...sockets]
    const faults: unknown[] = []
    const end = performance.now() + milliseconds
    const busy: Socket[] = []
    const lane = async (): Promise<void> => {
      for (let ws = left.pop(); ws !== undefined; ws = left.pop()) {
        const one = ws
        if (one.readyState === CLOSED) continue
        const most = Math.min(timeout, Math.max(0, Math.floor(end - performance.now())))
        await move(one, undefined, most).catch((error: unknown) => {
          if (!(error instanceof HandoverError || error instanceof SyscallError)) faults.push(error)
          else if (LATER.has(error.code) && mayMove(one)) busy.push(one)
        })
      }
    }
    for (;;) {
      await Promise.all(Array.from({ length: WEBSOCKETS_MOVING_MAX }, lane))
      if (busy.length === 0 || end - performance.now() < READY_RETRY) break
      await delay(READY_RETRY) // they are read meanwhile
      left.push(...busy.splice(0))
    }
    if (faults.length > 0) throw faults.length === 1 ? faults[0] : new AggregateError(faults, 'WebSockets stay')
  }

  const ends = [
    onHandOver(as, (socket, said) => {
      let ws: Socket
      const { ws: parts, application } = (said ?? {}) as { ws: WebSocketState; application: unknown }
      try {
        ws = putTogether(server, socket, parts)
      } catch (error) {
        socket.destroy()
        throw error
      }
      members.add(ws)
      resumed(ws, application)
    }),
    onDrain(async ({ successor, milliseconds }) => {
      if (!successor) return
      leaving = true
      await moveAll(members.all(), milliseconds)
    }),
    () => members.close(),
  ]
  return {
    move: (ws, options = {}) => move(ws, options.to),
    close() {
      for (const end of ends.splice(0)) end()
    },
  }
}

/** The WebSockets of a server, also of one that does not track them itself. */
class Members<Socket extends WebSocketLike> {
  readonly #tracked: Set<Socket> | null
  readonly #server: WebSocketServerLike<Socket>
  readonly #came: (ws: Socket) => void
  readonly #putBack: () => void
  #closed = false

  constructor(server: WebSocketServerLike<Socket>, came: (ws: Socket) => void) {
    const inside = insideServer(server)
    this.#server = server
    this.#came = came
    this.#tracked = server.clients === undefined ? new Set() : null
    // Every WebSocket of a server comes by this function, by itself or called by the program.
    const { handleUpgrade } = inside
    const own = Object.hasOwn(inside, 'handleUpgrade')
    const hooked: typeof handleUpgrade = (request, socket, head, upgraded) => {
      handleUpgrade.call(inside, request, socket, head, (ws, ...rest) => {
        upgraded(ws, ...rest)
        this.add(ws as WebSocketLike as Socket)
      })
    }
    inside.handleUpgrade = hooked
    this.#putBack = () => {
      if (inside.handleUpgrade !== hooked) return // somebody has hooked in behind us
      if (own) inside.handleUpgrade = handleUpgrade
      else Reflect.deleteProperty(inside, 'handleUpgrade')
    }
  }

  add(ws: Socket): void {
    if (this.#closed) return
    prepare(ws)
    if (this.#tracked !== null && ws.readyState === OPEN) {
      const tracked = this.#tracked.add(ws)
      for (const event of ['close', 'moved']) ws.once(event, () => tracked.delete(ws))
    }
    this.#came(ws)
  }

  all(): Iterable<Socket> {
    return this.#tracked ?? this.#server.clients ?? []
  }

  close(): void {
    this.#closed = true
    this.#putBack()
    this.#tracked?.clear()
  }
}
