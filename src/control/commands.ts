import type { Channel } from '../channel/channel.js'
import { LOG_LINES_DEFAULT, LOG_LINES_KEPT } from '../limits.js'
import type { ReloadOptions } from '../supervisor/options.js'
import { type Controllable, tellingOf } from './controllable.js'
import { unsupported } from './failure.js'
import type { HandedOn } from './handed-on.js'
import type { LineRing, WorkerLine } from './line-ring.js'
import type { Progress, Reloads } from './reloads.js'
import { checked, kinds } from './request-options.js'

/** What a command has of the client that asked. */
export interface Asked {
  readonly options: Readonly<Record<string, unknown>>
  readonly progress: Progress
  /** Tells lines; those that the client is too slow for are counted, and left out. */
  readonly lines: (lines: readonly WorkerLine[]) => void
  /** Aborts when the client is gone. */
  readonly gone: AbortSignal
  /** Borrowed, for commands that send more than words. */
  readonly channel: Channel
}

/** Does what was asked; what it returns is the answer, what it throws the failure. */
export type ControlCommand = (asked: Asked) => unknown

/** How `stop` was asked for. */
export interface StopOrder {
  /** Ends everything at once. */
  now?: boolean
  /** Milliseconds that open connections have. */
  milliseconds?: number
}

/** What the commands work with. */
export interface CommandParts {
  supervisor: Controllable
  reloads: Reloads
  handedOn: HandedOn
  ring: LineRing
  status: () => object
  stop: (order: StopOrder) => Promise<void>
  /** Replaces the supervisor's process; settles with who it is now. */
  upgrade: (progress: Progress) => Promise<object>
}

interface ReloadOrder extends Omit<ReloadOptions, 'env'> {
  workers?: number
  rolling?: boolean
  supersede?: boolean
  healthWindow?: number
  /** Variables that change. */
  env?: Record<string, string>
  /** All variables there are to be, before those of `env`. */
  environment?: Record<string, string>
  wait?: boolean
}

const { isWhole, isTime, isFlag, isText, isObject, areTexts, areVariables } = kinds
const RELOAD = {
  workers: isWhole,
  rolling: isFlag,
  supersede: isFlag,
  healthWindow: isTime,
  readiness: isObject,
  groups: isObject,
  script: isText,
  args: areTexts,
  execArgv: areTexts,
  cwd: isText,
  env: areVariables,
  environment: areVariables,
  milliseconds: isTime,
  drainTimeout: isTime,
  wait: isFlag,
} as const
const SCALE = { workers: isWhole, group: isText } as const
const DRAIN = { worker: isWhole } as const
const STOP = { now: isFlag, milliseconds: isTime } as const
const LOGS = { lines: isWhole, worker: isWhole, follow: isFlag } as const

/** The commands that every control socket answers. */
export function commandsOf(parts: CommandParts): Record<string, ControlCommand> {
  const { supervisor, ring } = parts
  return {
    status: ({ options }) => {
      checked(options, {})
      return parts.status()
    },
    reload: ({ options, progress }) => reload(parts, checked<ReloadOrder>(options, RELOAD), progress),
    scale: ({ options, progress }) => {
      const { workers, group } = checked<{ workers?: number; group?: string }>(options, SCALE)
      if (workers === undefined) throw new TypeError('workers: how many there are to be')
      if (supervisor.scale === undefined) unsupported('scale')
      return finishing(parts, progress, supervisor.scale.bind(supervisor, workers, group))
    },
    drain: ({ options, progress }) => {
      const { worker } = checked<{ worker?: number }>(options, DRAIN)
      if (worker === undefined) throw new TypeError('worker: the number of one')
      if (supervisor.replace === undefined) unsupported('drain')
      checkWorker(supervisor, worker)
      return finishing(parts, progress, supervisor.replace.bind(supervisor, worker))
    },
    stop: ({ options, progress }) => telling(supervisor, progress, () => parts.stop(checked<StopOrder>(options, STOP))),
    logs: (asked) => logs(supervisor, ring, asked),
    upgrade: ({ options, progress }) => {
      checked(options, {})
      return parts.upgrade(progress)
    },
  }
}

async function reload(parts: CommandParts, order: ReloadOrder, progress: Progress): Promise<object> {
  const { env, environment, wait = true, ...rest } = order
  const change = (now: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({ ...(environment ?? now), ...env })
  const changes = env === undefined && environment === undefined ? {} : { env: change }
  const done = parts.reloads.reload({ ...rest, ...changes }, wait ? progress : () => {})
  if (wait) return done
  // One that is refused at once is no reload; what comes later is in the supervisor's log.
  done.catch(() => {})
  await Promise.race([done, new Promise((resolve) => setImmediate(resolve))])
  return { accepted: true }
}

/** @throws {RangeError} there is no such worker */
function checkWorker(supervisor: Controllable, worker: number): void {
  const known = supervisor.status().workers.map((each) => each.worker)
  if (known.includes(worker)) return
  throw new RangeError(`worker: there is no worker ${worker}; there are ${[...new Set(known)].join(', ')}`)
}

/** Tells of workers that come and go meanwhile. */
async function telling(supervisor: Controllable, progress: Progress, act: () => unknown): Promise<unknown> {
  const events = tellingOf(supervisor)
  const heard = (['ready', 'replaced', 'ended', 'cut'] as const).map((name) => {
    return [name, (event: object) => progress(name, event)] as const
  })
  for (const [name, listener] of heard) events.on(name, listener)
  try {
    return (await act()) ?? {}
  } finally {
    for (const [name, listener] of heard) events.off(name, listener)
  }
}

/** The same of what ends with old workers, which may finish under another process. */
function finishing(
  { supervisor, handedOn }: CommandParts,
  progress: Progress,
  act: () => Promise<unknown>,
): Promise<unknown> {
  return telling(supervisor, progress, () => handedOn.or(act(), (finishUnder) => ({ finishUnder })))
}

async function logs(supervisor: Controllable, ring: LineRing, { options, lines, gone }: Asked): Promise<object> {
  const asked = checked<{ lines?: number; worker?: number; follow?: boolean }>(options, LOGS)
  const { worker, follow = false } = asked
  // One that is gone may have left lines.
  if (worker !== undefined && ring.last(1, worker).length === 0) checkWorker(supervisor, worker)
  lines(ring.last(Math.min(asked.lines ?? LOG_LINES_DEFAULT, LOG_LINES_KEPT), worker))
  if (!follow || gone.aborted) return {}
  const end = ring.follow((line) => {
    if (worker === undefined || line.worker === worker) lines([line])
  })
  await new Promise<void>((resolve) => gone.addEventListener('abort', () => resolve(), { once: true }))
  end()
  return {}
}
