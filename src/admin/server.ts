import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  ADMIN_CONNECTIONS_MAX,
  ADMIN_HEAD_BYTES_MAX,
  ADMIN_HEAD_TIME,
  ADMIN_IDLE_TIME,
  ADMIN_REQUEST_TIME,
} from '../limits.js'
import { foreignName, Guard, type Objection } from './guard.js'
import { listening } from './listening.js'
import { Metrics } from './metrics.js'
import { type AdminOptions, type SettledAdmin, settleAdmin } from './options.js'
import { page, signInPage } from './page/page.js'
import { Pulse } from './pulse.js'
import { Reloads } from './reload.js'
import { type SeenStatus, seen, servingGeneration, unready, type Watched } from './seen.js'
import { Totals } from './totals.js'

interface Route {
  methods: readonly string[]
  /** Who may have it: anybody, who may read, who may act. */
  for: 'anybody' | 'readers' | 'actors'
  answer(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void | Promise<void>
}

const READ = ['GET', 'HEAD']

/**
 * A supervisor seen from outside, over HTTP: metrics, status, probes, and a page that shows the same live.
 *
 * It shares the supervisor's process and nothing else: few connections, short heads, small bodies, deadlines for all of
 * them; it keeps no process alive.
 */
export class AdminServer {
  readonly #supervisor: Watched
  readonly #options: SettledAdmin
  readonly #server: Server
  readonly #totals: Totals
  readonly #metrics: Metrics
  readonly #pulse: Pulse
  readonly #reloads: Reloads
  #guard: Guard
  readonly #routes: ReadonlyMap<string, Route>

  /**
   * Borrows the supervisor, whose restarts and reloads count from now on: make it before `supervisor.start`.
   * @throws {TypeError | RangeError} an option; a host that others can reach, and no token
   */
  constructor(supervisor: Watched, options: AdminOptions) {
    this.#supervisor = supervisor
    this.#options = settleAdmin(options)
    this.#guard = new Guard(this.#options.token, this.#options.port)
    this.#totals = new Totals(supervisor)
    this.#metrics = new Metrics(supervisor, this.#totals, this.#options)
    this.#pulse = new Pulse(supervisor, (status) => this.#document(status))
    this.#reloads = new Reloads(supervisor, this.#totals, this.#options.reload)
    this.#routes = this.#allRoutes()
    this.#server = createServer(
      {
        maxHeaderSize: ADMIN_HEAD_BYTES_MAX,
        headersTimeout: ADMIN_HEAD_TIME,
        requestTimeout: ADMIN_REQUEST_TIME,
        keepAliveTimeout: ADMIN_IDLE_TIME,
        connectionsCheckingInterval: ADMIN_HEAD_TIME,
      },
      (request, response) => void this.#answer(request, response),
    )
    this.#server.maxConnections = ADMIN_CONNECTIONS_MAX
    this.#server.on('connection', (socket) => socket.unref())
  }

  /**
   * Listens.
   * @returns where
   * @throws {SyscallError} the port is not to be had
   */
  async start(): Promise<{ host: string; port: number }> {
    const { host, port, token } = this.#options
    const bound = await listening(this.#server, host, port)
    this.#guard = new Guard(token, bound.port)
    this.#pulse.start()
    return { host: bound.address, port: bound.port }
  }

  /** Ends it and every connection to it; the supervisor goes on. */
  stop(): Promise<void> {
    this.#totals.close()
    this.#pulse.close()
    return new Promise((resolve) => {
      this.#server.close(() => resolve()) // says so too where it never listened
      this.#server.closeAllConnections()
    })
  }

  #allRoutes(): Map<string, Route> {
    const open = this.#options.protectMetrics ? 'readers' : 'anybody'
    return new Map<string, Route>([
      [
        '/',
        { methods: READ, for: 'anybody', answer: (request, response, query) => this.#page(request, response, query) },
      ],
      ['/metrics', { methods: READ, for: open, answer: (_, response) => this.#showMetrics(response) }],
      ['/status', { methods: READ, for: 'readers', answer: (_, response) => this.#showStatus(response) }],
      ['/events', { methods: ['GET'], for: 'readers', answer: (_, response) => this.#watch(response) }],
      ['/livez', { methods: READ, for: open, answer: (_, response) => text(response, 200, 'alive') }],
      ['/readyz', { methods: READ, for: open, answer: (_, response) => this.#probe(response) }],
      [
        '/reload',
        { methods: ['POST'], for: 'actors', answer: (request, response) => this.#reloads.answer(request, response) },
      ],
    ])
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {})
    request.on('error', () => {})
    response.setHeader('cache-control', 'no-store')
    response.setHeader('x-content-type-options', 'nosniff')
    response.setHeader('referrer-policy', 'no-referrer')
    try {
      const [path = '/', query] = (request.url ?? '/').split('?', 2)
      const route = this.#routes.get(path)
      if (route === undefined)
        return text(response, 404, `nothing here; there are ${[...this.#routes.keys()].join(' ')}`)
      if (!route.methods.includes(request.method ?? '')) {
        response.setHeader('allow', route.methods.join(', '))
        return text(response, 405, `${path} takes ${route.methods.join(' and ')}`)
      }
      const objection = this.#objection(request, route)
      if (objection !== null) return refuse(response, objection)
      await route.answer(request, response, new URLSearchParams(query))
    } catch (error) {
      if (response.headersSent) response.destroy()
      else text(response, 500, (error as Error).message)
    }
  }

  #objection(request: IncomingMessage, route: Route): Objection | null {
    if (route.for === 'actors') return this.#guard.actObjection(request)
    if (route.for === 'readers') return this.#guard.objection(request)
    return this.#options.token === null ? foreignName(request) : null
  }

  /** The page sees to its own token: who has none is asked for it in a form. */
  #page(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const shown = query.get('token')
    const right = shown !== null && this.#guard.isToken(shown)
    const allowed = right || (shown === null && this.#guard.objection(request) === null)
    const { html, policy } = allowed ? page : signInPage(shown !== null)
    if (right) response.setHeader('set-cookie', this.#guard.cookie)
    response.setHeader('content-security-policy', policy)
    body(response, allowed ? 200 : 401, 'text/html; charset=utf-8', html)
  }

  async #showMetrics(response: ServerResponse): Promise<void> {
    body(response, 200, this.#metrics.contentType, await this.#metrics.text())
  }

  #showStatus(response: ServerResponse): void {
    body(response, 200, 'application/json', `${JSON.stringify(this.#document(seen(this.#supervisor)))}\n`)
  }

  #watch(response: ServerResponse): void {
    if (!this.#pulse.watch(response)) text(response, 503, 'too many watch already')
  }

  #probe(response: ServerResponse): void {
    const reason = unready(seen(this.#supervisor))
    text(response, reason === null ? 200 : 503, reason ?? 'ready')
  }

  /** The status as others read it. No limit is null, as JSON has no Infinity. */
  #document(status: SeenStatus): object {
    const { name, version, token } = this.#options
    const own = { name, version, pid: process.pid, uptime: Math.round(process.uptime()), now: Date.now() }
    const { reloads } = this.#totals
    const generation = servingGeneration(status)
    const ready = unready(status) === null
    return { ...own, ready, canReload: token !== null, generation, reloads: Object.fromEntries(reloads), ...status }
  }
}

function refuse(response: ServerResponse, { status, reason }: Objection): void {
  if (status === 401) response.setHeader('www-authenticate', 'Bearer realm="handover"')
  response.setHeader('connection', 'close') // a body that nobody reads goes with it
  text(response, status, reason)
}

function text(response: ServerResponse, status: number, line: string): void {
  body(response, status, 'text/plain; charset=utf-8', `${line}\n`)
}

function body(response: ServerResponse, status: number, type: string, content: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(content) })
  response.end(content)
}
