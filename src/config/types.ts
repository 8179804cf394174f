import type { Policy } from '../dispatch/policy.js'
import type { HandshakeOptions } from '../handshake/options.js'
import type { ListenOptions } from '../transport/listening-port.js'

/** Seconds, or a number with a unit: `'250ms'`, `'30s'`, `'5m'`, `'12h'`, `'7d'`. */
export type Duration = number | string

/** Bytes, or a number with a unit of 1024s: `'512mb'`, `'2gb'`. */
export type Size = number | string

/** Values of the environment; null takes a variable away. */
export type Environment = Readonly<Record<string, string | number | boolean | null | undefined>>

/** Workers of their own kind; paths are seen from the configuration's folder. */
export interface GroupConfig {
  workers?: number | 'max' | undefined
  script?: string | undefined
  args?: readonly string[] | undefined
  nodeOptions?: readonly string[] | undefined
  env?: Environment | undefined
}

export type DistributionMode = 'dispatch' | 'share' | 'reuseport'

/** When a worker is ready, beyond listening. */
export interface ReadinessConfig {
  /** A path that must answer with 2xx or 3xx, or a whole URL. */
  http?: string | undefined
  /** A program and its arguments that must end with 0. */
  command?: readonly string[] | undefined
  /** The program says so itself: it calls `ready()`. */
  explicit?: boolean | undefined
  interval?: Duration | undefined
  timeout?: Duration | undefined
}

export interface LogsConfig {
  /** Where each worker has a file. */
  folder: string
}

export interface WatchConfig {
  /** Files and folders. Default: the workers' working folder. */
  paths?: readonly string[] | undefined
  /** Names or paths that do not count, beside `node_modules` and what begins with a dot. */
  ignore?: readonly string[] | undefined
  /** Time without a change, after which workers are reloaded. Default 100 ms. */
  delay?: Duration | undefined
}

export interface AdminConfig {
  /** Default 127.0.0.1; others need a token. */
  host?: string | undefined
  port: number
  /** Without it nothing can be changed over the address. */
  token?: string | undefined
  /** Ask for the token where metrics and probes are read, too. Default false. */
  protectMetrics?: boolean | undefined
}

/** What `handover.config.ts` (js, mjs, cjs, json) exports. Paths are seen from its folder. */
export interface HandoverConfig {
  script?: string | undefined
  args?: readonly string[] | undefined
  workers?: number | 'max' | undefined
  groups?: Readonly<Record<string, GroupConfig>> | undefined
  /** A name, a function, or the path of a module whose default export is one. */
  policy?: Policy | (string & {}) | undefined
  /** An inspection's options, a list of them, or the path of a module that exports such. */
  handshake?: HandshakeOptions | readonly HandshakeOptions[] | string | undefined
  maxConnections?: number | undefined
  maxTotal?: number | undefined
  /** Ports opened before any worker runs: numbers, paths of sockets, or `{ host, port }`. */
  listen?: readonly (number | string | ListenOptions)[] | undefined
  backlog?: number | undefined
  threads?: boolean | undefined
  preload?: boolean | undefined
  drainTimeout?: Duration | undefined
  /** In addition to the command's own environment. */
  env?: Environment | undefined
  cwd?: string | undefined
  nodeOptions?: readonly string[] | undefined
  readiness?: ReadinessConfig | undefined
  healthWindow?: Duration | undefined
  distribution?:
    | DistributionMode
    | readonly { ports?: readonly (number | string)[] | undefined; mode: DistributionMode }[]
    | undefined
  heartbeat?: Duration | false | undefined
  hungAfter?: Duration | false | undefined
  maxMemory?: Size | undefined
  maxLag?: Duration | undefined
  crashLoop?: { deaths?: number | undefined; within?: Duration | undefined } | false | undefined
  affinity?: 'spread' | readonly (readonly number[])[] | undefined
  orphans?: 'end' | 'wait' | undefined
  ticketRotation?: Duration | false | undefined
  /** Which of several on this machine: part of the names of the control socket and of log files. */
  name?: string | undefined
  /** The path of the control socket; false: none. */
  control?: string | false | undefined
  watch?: boolean | readonly string[] | WatchConfig | undefined
  /** A folder, or an object that names it. */
  logs?: string | LogsConfig | undefined
  admin?: AdminConfig | number | undefined
  agentCheck?: { host?: string | undefined; port: number } | number | undefined
}

/** What a configuration's default export may be. */
export type ConfigExport = HandoverConfig | (() => HandoverConfig | Promise<HandoverConfig>)
