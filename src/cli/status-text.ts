import type { ControlStatus, ControlWorker, GenerationStatus } from '../control/status-answer.js'
import { addressText } from './printer.js'
import { type Column, table } from './table.js'
import { bytesText, durationText } from './words.js'

/** What stands in front of a generation, by its state. */
const MEANING: Readonly<Record<string, string>> = {
  starting: 'is being started',
  serving: 'serves',
  standby: 'stands by',
  draining: 'finishes its connections',
}

const COLUMNS: readonly Column<ControlWorker>[] = [
  { heading: 'worker', right: true, text: ({ worker }) => String(worker) },
  { heading: 'group', text: ({ group }) => group },
  { heading: 'gen', right: true, text: ({ generation }) => String(generation) },
  { heading: 'pid', right: true, text: ({ pid }) => String(pid) },
  { heading: 'state', text: stateText },
  { heading: 'open', right: true, text: ({ open }) => String(open) },
  { heading: 'total', right: true, text: ({ total }) => String(total) },
  { heading: '/s', right: true, text: ({ perSecond }) => String(perSecond) },
  { heading: 'unclaimed', right: true, text: ({ queued, unclaimed }) => String(queued + unclaimed) },
  { heading: 'claims', right: true, text: ({ claimLatency }) => latencyText(claimLatency) },
  { heading: 'restarts', right: true, text: ({ restarts }) => String(restarts) },
  { heading: 'lag', right: true, text: ({ lag }) => (typeof lag === 'number' ? `${Math.round(lag)} ms` : null) },
  { heading: 'memory', right: true, text: ({ memory }) => (typeof memory === 'number' ? bytesText(memory) : null) },
  { heading: 'cpu', right: true, text: ({ cpu }) => (typeof cpu === 'number' ? `${Math.round(cpu * 100)} %` : null) },
  {
    heading: 'up',
    right: true,
    text: ({ since }) => (typeof since === 'number' ? durationText(Date.now() - since) : null),
  },
]

/** The mean, and the longest. */
function latencyText(latency: ControlWorker['claimLatency']): string | null {
  return latency ? `${latencyNumber(latency.mean)}/${latencyNumber(latency.max)} ms` : null
}

function latencyNumber(milliseconds: number): string {
  return milliseconds < 10 ? milliseconds.toFixed(1) : String(Math.round(milliseconds))
}

function stateText({ state, stalled, hung }: ControlWorker): string {
  return hung === true ? `${state}, hung` : stalled ? `${state}, stalled` : state
}

/** The whole state of a supervisor, line by line. */
export function statusLines(status: ControlStatus): string[] {
  const { name, pid, handover, script, since, ports, workers, generations, listenQueue } = status
  const open = workers.reduce((sum, worker) => sum + worker.open, 0)
  const queued = typeof listenQueue === 'number' ? `, ${listenQueue} in the kernel's queue` : ''
  const setbacks = Object.entries(status.setbacks).map(([kind, count]) => `${kind} ${count}`)
  return [
    `${name}: ${script ?? 'a program'}, pid ${pid}, up ${durationText(Date.now() - since)}, handover ${handover}`,
    `ports: ${ports.length === 0 ? 'none yet' : ports.map(addressText).join('; ')}`,
    `connections: ${open} open, ${status.dispatched + (status.accepted ?? 0)} in all, ${status.perSecond}/s, ${status.waiting} waiting, ${status.undecided} undecided${queued}`,
    ...(setbacks.length > 0 ? [`setbacks: ${setbacks.join(', ')}`] : []),
    ...generations.map((generation) => generationText(generation, status)),
    '',
    ...table(COLUMNS, workers),
    ...(status.vacant ?? []).map(vacancyText),
  ]
}

function generationText(
  { number, state, since, deadline }: GenerationStatus,
  { workers, vacant = [] }: ControlStatus,
): string {
  const own = [...workers, ...vacant].filter(({ generation }) => generation === number)
  const count = own.filter((one) => 'pid' in one).length
  const of = count === own.length ? '' : ` of ${own.length}`
  const age = typeof since === 'number' ? ` for ${durationText(Date.now() - since)}` : ''
  const left = typeof deadline === 'number' ? `, ${durationText(deadline - Date.now())} left` : ''
  return `generation ${number} ${MEANING[state] ?? state}${age}${left}: ${count}${of} worker${own.length === 1 ? '' : 's'}`
}

function vacancyText({
  worker,
  generation,
  state,
  restarts,
  restartIn,
}: NonNullable<ControlStatus['vacant']>[number]): string {
  const when = restartIn === null ? 'soon' : `in ${durationText(restartIn)}`
  const what = state === 'failed' ? 'it is given up until a reload' : `it starts again ${when}`
  return `worker ${worker} of generation ${generation} is not there: ${what}, after ${restarts} restarts`
}

/** One line a worker, for a log. */
export function workerLines({ workers }: ControlStatus): string[] {
  return workers.map(({ worker, generation, pid, state, open, total, perSecond }) => {
    return `worker ${worker} generation ${generation} pid ${pid} ${state} open ${open} total ${total} ${perSecond}/s`
  })
}
