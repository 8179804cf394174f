import { createServer, isIP, type Server } from 'node:net'
import { checkOptions, shown, wholeNumber } from '../arguments.js'
import { ADMIN_CONNECTIONS_MAX, AGENT_READY_TIME, AGENT_TIME } from '../limits.js'
import { listening } from './listening.js'
import { seen, type Watched } from './seen.js'
import { agentState } from './weight.js'

export interface AgentCheckOptions {
  /** A numeric address, or localhost, that the balancers reach. Default 127.0.0.1. */
  host?: string
  /** 0: any that is free. */
  port: number
}

/**
 * Tells HAProxy how much of the load this machine is to have: a line to each connection, and its end.
 *
 * `ready` takes back a drain of ours; it would take back an operator's too, so it is said in the first minute only, and for a
 * minute after a drain.
 * @see HAProxy's configuration manual, agent-check
 */
export class AgentCheck {
  readonly #supervisor: Watched
  readonly #host: string
  readonly #port: number
  readonly #server: Server
  #readyUntil = performance.now() + AGENT_READY_TIME

  /** Borrows the supervisor. @throws {TypeError | RangeError} an option */
  constructor(supervisor: Watched, options: AgentCheckOptions) {
    checkOptions(options, ['host', 'port'])
    const { host = '127.0.0.1' } = options
    if (typeof host !== 'string' || (isIP(host) === 0 && host !== 'localhost')) {
      throw new TypeError(`host: a numeric address or localhost, not ${shown(host)}`)
    }
    this.#supervisor = supervisor
    this.#host = host
    this.#port = wholeNumber('port', options.port, 0, 65_535)
    this.#server = createServer((socket) => {
      socket.on('error', () => {}).unref()
      socket.setTimeout(AGENT_TIME, () => socket.destroy())
      socket.resume() // what agent-send says means nothing here, but left unread it would reset the connection
      socket.end(`${this.line()}\n`)
    })
    this.#server.maxConnections = ADMIN_CONNECTIONS_MAX
  }

  /** What it says now, without the line's end. */
  line(): string {
    const now = agentState(seen(this.#supervisor))
    if (now.state === 'down') return 'down#no worker is ready'
    if (now.state === 'drain') {
      this.#readyUntil = performance.now() + AGENT_READY_TIME
      return 'drain'
    }
    return `${performance.now() < this.#readyUntil ? 'ready ' : ''}up ${now.weight}%`
  }

  /**
   * Listens.
   * @returns where
   * @throws {SyscallError} the port is not to be had
   */
  async start(): Promise<{ host: string; port: number }> {
    const { address, port } = await listening(this.#server, this.#host, this.#port)
    return { host: address, port }
  }

  /** Balancers find nobody there, and keep the state they know. */
  stop(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}
