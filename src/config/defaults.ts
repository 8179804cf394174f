import type { HandoverConfig } from './types.js'

/** What holds where neither file nor options say anything, in words. docs/config.md says the same. */
export const DEFAULTS: Readonly<Record<keyof HandoverConfig, string>> = {
  script: 'none',
  args: 'none',
  workers: '1; with groups none',
  groups: 'none',
  policy: 'least-connections',
  handshake: 'none',
  maxConnections: 'no limit',
  maxTotal: 'no limit',
  listen: 'what workers ask for',
  backlog: "the script's, or 511",
  threads: 'false',
  preload: 'true',
  drainTimeout: '30s',
  env: "the command's own",
  cwd: 'where the command runs',
  nodeOptions: 'none',
  readiness: 'ready when it listens',
  healthWindow: '2s',
  distribution: 'dispatch',
  heartbeat: '1s',
  hungAfter: '10s',
  maxMemory: 'no limit',
  maxLag: 'no limit',
  crashLoop: '5 deaths within 30s',
  affinity: 'none',
  orphans: 'end',
  ticketRotation: '12h',
  name: "the script's",
  control: "a socket of the user's own folder",
  watch: 'false',
  logs: 'standard output and error',
  admin: 'none',
  agentCheck: 'none',
}

/** Keys whose values are lengths of time, and those that are sizes. */
export const TIMES: ReadonlySet<string> = new Set([
  'drainTimeout',
  'healthWindow',
  'heartbeat',
  'hungAfter',
  'maxLag',
  'ticketRotation',
])
export const SIZES: ReadonlySet<string> = new Set(['maxMemory'])
