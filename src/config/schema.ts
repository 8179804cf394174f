import { z } from 'zod'
import type { Policy } from '../dispatch/policy.js'
import type { HandshakeOptions } from '../handshake/options.js'
import { TICKET_ROTATION_MAX, WORKERS_MAX } from '../limits.js'
import type { ListenOptions } from '../transport/listening-port.js'
import {
  bytes,
  environment,
  isObject,
  isTexts,
  isWhole,
  leaf,
  text,
  texts,
  time,
  timeOrFalse,
  WRONG,
  whole,
  wholeOrMax,
  word,
  yesOrNo,
} from './leaves.js'
import type { HandoverConfig } from './types.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const COUNT = 1_000_000_000
const PORT = 65_535

const isPlace = (value: unknown): boolean => isWhole(value, 0, PORT) || (typeof value === 'string' && value !== '')

const group = z.strictObject({
  workers: wholeOrMax(1, WORKERS_MAX).optional(),
  script: text('the path of a script').optional(),
  args: texts('a list of texts').optional(),
  nodeOptions: texts("a list of options of node (['--max-old-space-size=512'])").optional(),
  env: environment().optional(),
})

const mode = () => word('dispatch', 'share', 'reuseport')

const distribution = z.union([
  mode(),
  z
    .array(
      z.strictObject({
        ports: leaf<readonly (number | string)[]>('a list of port numbers and paths', (value) =>
          Array.isArray(value) && value.every(isPlace) ? (value as (number | string)[]) : WRONG,
        ).optional(),
        mode: mode(),
      }),
    )
    .readonly(),
])

const listen = leaf<readonly (number | string | ListenOptions)[], readonly ListenOptions[]>(
  'a list of port numbers, paths of sockets, { port, host } or { path }',
  (value) => {
    if (!Array.isArray(value) || !value.every((one) => isPlace(one) || isObject(one))) return WRONG
    return value.map((one) =>
      typeof one === 'number' ? { port: one } : typeof one === 'string' ? { path: one } : (one as ListenOptions),
    )
  },
)

const handshake = leaf<NonNullable<HandoverConfig['handshake']>, string | readonly HandshakeOptions[]>(
  'the options of an inspection, a list of them, or the path of a module',
  (value) => {
    if (typeof value === 'string' && value !== '') return value
    const all = [value].flat()
    return all.length > 0 && all.every(isObject) ? (all as unknown as HandshakeOptions[]) : WRONG
  },
)

const policy = leaf<Policy | (string & {})>(
  'least-connections, round-robin, client-address, a function, or the path of a module',
  (value) => {
    if (typeof value === 'function') return value as Policy
    const fits = typeof value === 'string' && /^(least-connections|round-robin|client-address|.*[./].*)$/.test(value)
    return fits ? (value as string) : WRONG
  },
)

const watch = z.union([
  leaf<boolean | readonly string[], { paths?: readonly string[]; ignore?: readonly string[]; delay?: number } | false>(
    'true, false, a list of paths',
    (value) => (typeof value === 'boolean' ? value && {} : isTexts(value) ? { paths: value } : WRONG),
  ),
  z.strictObject({
    paths: texts('a list of paths').optional(),
    ignore: texts('a list of names or paths').optional(),
    delay: time(0, MINUTE).optional(),
  }),
])

const logs = z.union([
  text('the path of a folder').transform((folder) => ({ folder })),
  z.strictObject({ folder: text('the path of a folder') }),
])

const host = () => text('a numeric address, or localhost', /^(localhost|[\d.]+|[0-9a-f:.]*:[0-9a-f:.]*)$/i)

const admin = z.union([
  whole(0, PORT).transform((port) => ({ port })),
  z.strictObject({
    host: host().optional(),
    port: whole(0, PORT),
    token: text('at least 16 visible ASCII characters', /^[\x21-\x7e]{16,}$/).optional(),
    protectMetrics: yesOrNo().optional(),
  }),
])

const agentCheck = z.union([
  whole(0, PORT).transform((port) => ({ port })),
  z.strictObject({ host: host().optional(), port: whole(0, PORT) }),
])

const crashLoop = z.union([
  leaf<false>('false', (value) => (value === false ? (value as false) : WRONG)),
  z.strictObject({ deaths: whole(1, COUNT).optional(), within: time(1, DAY).optional() }),
])

/** What a configuration may say. Lengths of time settle to milliseconds, sizes to bytes, short forms to long ones. */
export const schema = z.strictObject({
  script: text('the path of a script').optional(),
  args: texts('a list of texts').optional(),
  workers: wholeOrMax(1, WORKERS_MAX).optional(),
  groups: z.record(z.string(), group).optional(),
  policy: policy.optional(),
  handshake: handshake.optional(),
  maxConnections: whole(1, COUNT).optional(),
  maxTotal: whole(1, COUNT).optional(),
  listen: listen.optional(),
  backlog: whole(1, PORT).optional(),
  threads: yesOrNo().optional(),
  preload: yesOrNo().optional(),
  drainTimeout: time(0, DAY).optional(),
  env: environment().optional(),
  cwd: text('the path of a folder').optional(),
  nodeOptions: texts("a list of options of node (['--max-old-space-size=512'])").optional(),
  readiness: z
    .strictObject({
      http: text('a path or a URL', /^(\/|https?:\/\/)/).optional(),
      command: leaf<readonly string[]>('a program and its arguments, a list of texts', (value) =>
        isTexts(value) && value.length > 0 ? value : WRONG,
      ).optional(),
      explicit: yesOrNo().optional(),
      interval: time(1, MINUTE).optional(),
      timeout: time(1, HOUR).optional(),
    })
    .optional(),
  healthWindow: time(0, HOUR).optional(),
  distribution: distribution.optional(),
  heartbeat: timeOrFalse(10, MINUTE).optional(),
  hungAfter: timeOrFalse(30, HOUR).optional(),
  maxMemory: bytes(16 * 1024 ** 2).optional(),
  maxLag: time(1, MINUTE).optional(),
  crashLoop: crashLoop.optional(),
  affinity: leaf<'spread' | readonly (readonly number[])[]>("'spread', or a list of lists of cpu numbers", (value) => {
    const sets = Array.isArray(value) && value.length > 0 && value.every(isCpus)
    return value === 'spread' || sets ? (value as 'spread' | number[][]) : WRONG
  }).optional(),
  orphans: word('end', 'wait').optional(),
  ticketRotation: timeOrFalse(0, TICKET_ROTATION_MAX).optional(),
  name: text('1 to 64 letters, digits, "_", "-" and ".", the first no "-" or "."', /^\w[\w.-]{0,63}$/).optional(),
  control: leaf<string | false>('the path of a socket, or false', (value) =>
    value === false || (typeof value === 'string' && value !== '') ? (value as string | false) : WRONG,
  ).optional(),
  watch: watch.optional(),
  logs: logs.optional(),
  admin: admin.optional(),
  agentCheck: agentCheck.optional(),
})

/** A configuration in its long form: milliseconds, bytes, paths as they were written. */
export type Values = z.output<typeof schema>

function isCpus(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((one) => isWhole(one, 0, 8191))
}

/** The schema takes what the type allows, and the other way round. */
type Takes = z.input<typeof schema>
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never
export const schemaFitsType: Same<keyof Takes, keyof HandoverConfig> & Same<HandoverConfig, Takes> = true
