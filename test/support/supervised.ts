import type { TestContext } from 'node:test'
import { type SocketAddress, Supervisor, type SupervisorOptions } from '../../src/index.js'
import { until } from './wait.js'

export interface Supervised {
  supervisor: Supervisor
  /** The first TCP port's number. */
  port: number
  /** The first UNIX port's path. */
  path: string
  /** Every line the workers wrote, in order. */
  lines: string[]
  /** Names and payloads of all events, in order. */
  events: { name: string; [field: string]: unknown }[]
  /** Process ids of the workers, in order of their places. */
  pids(): number[]
  /** Milliseconds in which as many others start for sure, by how long these took: for what then waits in vain. */
  enough: number
}

const NAMES = [
  'started',
  'listening',
  'ready',
  'refused',
  'ended',
  'broken',
  'exhausted',
  'returned',
  'policyError',
] as const

/** Starts a supervisor whose workers are all ready, and ends it, with all it started, when the test ends. */
export async function supervise(
  t: TestContext,
  options: SupervisorOptions,
  count = options.workers ?? 1,
): Promise<Supervised> {
  const supervisor = new Supervisor({ drainTimeout: 5_000, ...options })
  const lines: string[] = []
  const events: Supervised['events'] = []
  supervisor.on('line', ({ text }) => lines.push(text))
  for (const name of NAMES) supervisor.on(name, (event: object) => events.push({ name, ...event }))
  t.after(() => supervisor.kill())
  const began = performance.now()
  const ready = (): boolean => {
    const workers = supervisor.status().workers.filter(({ pid }) => pid !== 0)
    return workers.length === count && workers.every((worker) => worker.ready)
  }
  await supervisor
    .start()
    .then(() => until('all workers are ready', ready))
    .catch((error: Error) => {
      error.message += `\n${lines.join('\n')}`
      throw error
    })
  const enough = Math.max(6_000, Math.ceil(8 * (performance.now() - began)))
  const { ports } = supervisor.status()
  const tcp = ports.find((port): port is SocketAddress => typeof port !== 'string')
  const unix = ports.find((port): port is string => typeof port === 'string')
  return {
    supervisor,
    port: tcp?.port ?? 0,
    path: unix ?? '',
    lines,
    events,
    pids: () => supervisor.status().workers.map((worker) => worker.pid),
    enough,
  }
}
