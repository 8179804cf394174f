import type { Counter, Gauge, Registry } from 'prom-client'
import { masterProcess } from './master.js'
import { isServing, type SeenStatus, STATES, seen, servingGeneration, type Watched } from './seen.js'
import type { Totals } from './totals.js'

/** Every metric: its name, its kind, its labels, and what it says. docs/admin.md has the same table. */
export const METRICS = [
  ['handover_workers', 'gauge', ['state'], 'Workers by state.'],
  ['handover_workers_serving', 'gauge', [], 'Workers that take connections.'],
  ['handover_connections_open', 'gauge', ['worker', 'generation'], 'Connections that workers have open.'],
  ['handover_connections_total', 'counter', ['worker'], 'Connections that workers ever claimed, the dead ones too.'],
  [
    'handover_unclaimed',
    'gauge',
    ['worker', 'generation'],
    'Connections given to a worker that it has not claimed yet.',
  ],
  [
    'handover_worker_claim_latency_seconds',
    'gauge',
    ['worker', 'generation'],
    'Mean time until it claims what it is given, of late.',
  ],
  ['handover_worker_claim_latency_max_seconds', 'gauge', ['worker', 'generation'], 'The longest of these times.'],
  ['handover_worker_restarts_total', 'counter', ['worker'], 'Times that a place was filled again.'],
  ['handover_worker_stalled', 'gauge', ['worker', 'generation'], '1: it owes claims and makes none, or is hung.'],
  ['handover_worker_lag_seconds', 'gauge', ['worker', 'generation'], 'By how much its event loop is late.'],
  ['handover_worker_memory_bytes', 'gauge', ['worker', 'generation'], 'Its resident memory.'],
  ['handover_worker_cpu', 'gauge', ['worker', 'generation'], 'Processor cores that it uses.'],
  ['handover_generation', 'gauge', [], 'The generation that serves.'],
  ['handover_generations', 'gauge', [], 'Generations that have workers.'],
  ['handover_reloads_total', 'counter', ['result'], 'Reloads by result.'],
  [
    'handover_setbacks_total',
    'counter',
    ['kind'],
    'Connections that did not get to a worker, or not where they asked for.',
  ],
  ['handover_dispatched_total', 'counter', [], 'Connections ever given to a worker.'],
  ['handover_accepted_total', 'counter', [], 'Connections that workers ever accepted by themselves.'],
  ['handover_undecided', 'gauge', [], 'Connections whose clients have not said enough yet.'],
  ['handover_waiting', 'gauge', [], 'Connections that were accepted and wait for a worker with room.'],
  ['handover_listen_queue', 'gauge', [], 'Clients in the kernel’s queues, whom nobody has accepted yet.'],
  ['handover_build_info', 'gauge', ['version', 'node', 'name'], 'Always 1.'],
  ['process_resident_memory_bytes', 'gauge', [], 'Resident memory of the supervisor.'],
  ['process_cpu_seconds_total', 'counter', [], 'Processor time of the supervisor.'],
  ['process_open_fds', 'gauge', [], 'Descriptors that the supervisor has open.'],
  ['process_max_fds', 'gauge', [], 'Descriptors that it may have open.'],
  ['process_start_time_seconds', 'gauge', [], 'When the supervisor started, since the epoch.'],
] as const

type Name = (typeof METRICS)[number][0]
type Labels = Record<string, string | number>

/** What a supervisor's numbers are called outside, in the text format of Prometheus. */
export class Metrics {
  readonly #supervisor: Watched
  readonly #totals: Totals
  readonly #build: Labels
  #registry: Promise<Registry> | null = null
  #metrics = new Map<string, Counter | Gauge>()
  /** Those who ask at the same time get the same text. */
  #text: Promise<string> | null = null

  constructor(supervisor: Watched, totals: Totals, { name, version }: { name: string; version: string }) {
    this.#supervisor = supervisor
    this.#totals = totals
    this.#build = { name, version, node: process.version }
  }

  /** @see https://prometheus.io/docs/instrumenting/exposition_formats/ version 0.0.4 */
  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8'

  text(): Promise<string> {
    this.#text ??= this.#collect().finally(() => {
      this.#text = null
    })
    return this.#text
  }

  async #collect(): Promise<string> {
    this.#registry ??= this.#register() // the package is loaded by those alone who are asked for metrics
    const registry = await this.#registry
    const master = await masterProcess()
    for (const metric of this.#metrics.values()) metric.reset()
    const status = seen(this.#supervisor)
    this.#ofWorkers(status)
    this.#ofAll(status)
    this.#set('process_resident_memory_bytes', master.memory)
    this.#set('process_cpu_seconds_total', master.cpu)
    this.#set('process_start_time_seconds', master.started)
    if (master.descriptors !== null) this.#set('process_open_fds', master.descriptors)
    if (master.descriptorsMax !== null) this.#set('process_max_fds', master.descriptorsMax)
    return registry.metrics()
  }

  async #register(): Promise<Registry> {
    const { Counter, Gauge, Registry } = await import('prom-client')
    const registry = new Registry()
    for (const [name, kind, labelNames, help] of METRICS) {
      const options = { name, help, labelNames: [...labelNames], registers: [registry] }
      this.#metrics.set(name, kind === 'counter' ? new Counter(options) : new Gauge(options))
    }
    return registry
  }

  /** Counters are of the supervisor: here they are only shown, from zero each time. */
  #set(name: Name, value: number, labels: Labels = {}): void {
    this.#metrics.get(name)?.inc(labels, value)
  }

  #ofWorkers({ workers, vacant = [] }: SeenStatus): void {
    for (const state of STATES) {
      this.#set('handover_workers', [...workers, ...vacant].filter((one) => one.state === state).length, { state })
    }
    this.#set('handover_workers_serving', workers.filter(isServing).length)
    for (const one of workers) {
      const labels = { worker: one.worker, generation: one.generation }
      this.#set('handover_connections_open', one.open, labels)
      this.#set('handover_unclaimed', one.queued + one.unclaimed, labels)
      this.#set('handover_worker_stalled', Number(one.stalled || one.hung === true), labels)
      if (one.claimLatency) {
        this.#set('handover_worker_claim_latency_seconds', one.claimLatency.mean / 1000, labels)
        this.#set('handover_worker_claim_latency_max_seconds', one.claimLatency.max / 1000, labels)
      }
      if (typeof one.lag === 'number') this.#set('handover_worker_lag_seconds', one.lag / 1000, labels)
      if (typeof one.memory === 'number') this.#set('handover_worker_memory_bytes', one.memory, labels)
      if (typeof one.cpu === 'number') this.#set('handover_worker_cpu', one.cpu, labels)
    }
    const claimed = this.#totals.claimed(workers)
    for (const [worker, total] of claimed) this.#set('handover_connections_total', total, { worker })
    const places = new Set([...claimed.keys(), ...this.#totals.restarts.keys()])
    for (const worker of places) {
      this.#set('handover_worker_restarts_total', this.#totals.restarts.get(worker) ?? 0, { worker })
    }
  }

  #ofAll(status: SeenStatus): void {
    const { workers, generations, setbacks, dispatched, accepted = 0, undecided, waiting, listenQueue } = status
    this.#totals.isReloading(workers) // one that failed is counted now at the latest
    this.#set('handover_generation', servingGeneration(status))
    this.#set('handover_generations', generations.length)
    for (const [result, count] of this.#totals.reloads) this.#set('handover_reloads_total', count, { result })
    for (const [kind, count] of Object.entries(setbacks)) this.#set('handover_setbacks_total', count, { kind })
    this.#set('handover_dispatched_total', dispatched)
    this.#set('handover_accepted_total', accepted)
    this.#set('handover_undecided', undecided)
    this.#set('handover_waiting', waiting)
    if (typeof listenQueue === 'number') this.#set('handover_listen_queue', listenQueue)
    this.#set('handover_build_info', 1, this.#build)
  }
}
