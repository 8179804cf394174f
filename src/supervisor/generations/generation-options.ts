import { checkOptions, shown, wholeMilliseconds } from '../../arguments.js'
import { READINESS_INTERVAL, READINESS_TIMEOUT } from '../../limits.js'

/** What makes a new worker ready besides that it listens. Of several, all must hold. */
export interface ReadinessOptions {
  /**
   * A path, or a URL, that each new worker must answer with a status from 200 to 399. It is asked over a connection of
   * the master's own to exactly that worker. A path is asked at its first port; a URL's port says at which.
   */
  http?: string
  /** A program and its arguments, run by the master: exit code 0 means ready. HANDOVER_GENERATION says which is asked for. */
  command?: readonly string[]
  /** The program says so itself, by `worker.ready()`: until then no worker gets a connection, restarted ones neither. */
  explicit?: boolean
  /** Milliseconds between two questions. Default 250. */
  interval?: number
  /** Milliseconds that one question may take. Default 5,000. The reload's `milliseconds` bound the whole. */
  timeout?: number
}

/** How generations of workers take over. */
export interface GenerationOptions {
  /** Default: a worker is ready when it listens. */
  readiness?: ReadinessOptions
  /**
   * Milliseconds after a switch in which the old workers stand by and take over again if a new one ends, hangs, or
   * fails the questions of `readiness`. Default 0: they drain at once.
   */
  healthWindow?: number
}

export interface SettledReadiness {
  readonly http: HttpQuestion | null
  readonly command: readonly string[] | null
  readonly explicit: boolean
  readonly interval: number
  readonly timeout: number
}

/** What is asked of a worker by HTTP. */
export interface HttpQuestion {
  readonly path: string
  /** The value of the header Host. */
  readonly host: string
  /** The number of the port it is asked at; null: the worker's first. */
  readonly port: number | null
  /** The name for TLS; null: without TLS. */
  readonly servername: string | null
}

/** Their names. */
export const GENERATION_OPTIONS = ['readiness', 'healthWindow'] as const

const KNOWN: readonly (keyof ReadinessOptions)[] = ['http', 'command', 'explicit', 'interval', 'timeout']

/** @throws {TypeError | RangeError} an option that is unknown, of the wrong type or out of range, by its name */
export function settleReadiness(options: ReadinessOptions = {}): SettledReadiness {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`readiness: an object, not ${shown(options)}`)
  }
  checkOptions(options, KNOWN)
  const { http, command, explicit = false, interval, timeout } = options
  if (typeof explicit !== 'boolean') throw new TypeError(`readiness.explicit: true or false, not ${shown(explicit)}`)
  return {
    http: http === undefined ? null : question(http),
    command: command === undefined ? null : checkCommand(command),
    explicit,
    interval: wholeMilliseconds('readiness.interval', interval ?? READINESS_INTERVAL, 1),
    timeout: wholeMilliseconds('readiness.timeout', timeout ?? READINESS_TIMEOUT, 1),
  }
}

/** @throws {TypeError | RangeError} no whole number of milliseconds */
export function settleHealthWindow(milliseconds = 0): number {
  return wholeMilliseconds('healthWindow', milliseconds)
}

function question(http: unknown): HttpQuestion {
  if (typeof http === 'string' && http.startsWith('/')) {
    return { path: http, host: 'localhost', port: null, servername: null }
  }
  const url = typeof http === 'string' && URL.canParse(http) ? new URL(http) : null
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new TypeError(`readiness.http: a path from "/" on, or a URL of http or https, not ${shown(http)}`)
  }
  const tls = url.protocol === 'https:'
  return {
    path: url.pathname + url.search,
    host: url.host,
    port: url.port === '' ? (tls ? 443 : 80) : Number(url.port),
    servername: tls ? url.hostname : null,
  }
}

function checkCommand(command: unknown): readonly string[] {
  const list = Array.isArray(command) ? command : []
  if (list.length > 0 && list.every((part) => typeof part === 'string')) return list
  throw new TypeError(`readiness.command: a list of a program and its arguments, not ${shown(command)}`)
}
