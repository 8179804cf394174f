import { printable } from '../arguments.js'
import type { Step } from '../control/client.js'
import type { WorkerEnd } from '../supervisor/workers/worker.js'

/** Puts a step of a reload, and of what else is asked of a supervisor, into words; the same here and in its log. */
export function stepText(step: Step): string {
  const { event, generation, previous, worker, pid } = step
  switch (event) {
    case 'queued':
      return 'waits for the reload before it'
    case 'reloading':
      return `generation ${generation} starts`
    case 'ready':
      return `worker ${worker} ready (pid ${pid})`
    case 'switched':
      return `generation ${generation} has every new connection; generation ${previous} finishes its own`
    case 'healthy':
      return `generation ${generation} is healthy`
    case 'reloaded':
      return `generation ${previous} is gone`
    case 'rolledBack':
      return `generation ${generation} is given up, generation ${step.to} serves again: ${printable(String(step.reason))}`
    case 'ended':
      return `worker ${worker} of generation ${generation} ended (${endText(step.end as WorkerEnd)})`
    case 'replaced':
      return `worker ${worker} is process ${pid} from now on; ${previous} finishes its connections`
    case 'heir':
      return `process ${pid} starts as successor of process ${previous}`
    case 'frozen':
      return 'clients wait: everything is handed over'
    case 'succeeded':
      return `process ${pid} has everything`
    case 'cut':
      return `drain timeout: ${step.connections} connections of worker ${worker} are cut`
    default:
      return printable(JSON.stringify(step)) // of a newer release
  }
}

export function endText(end: WorkerEnd): string {
  if (end.error && end.code === null && end.signal === null)
    return `could not start: ${end.error.message ?? 'why is in its log'}`
  if (end.inherited) return 'how is not known: a process before this one had started it'
  return end.signal === null ? `exit code ${end.code}` : `signal ${end.signal}`
}

/** How long, in at most two units: `3 d 4 h`, `12 s`. */
export function durationText(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  const told = first < 0 ? parts.slice(-1) : parts.slice(first, first + 2)
  return told.map(([count, unit]) => `${count}${unit}`).join(' ')
}

/** A number of bytes, short. */
export function bytesText(bytes: number): string {
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KiB`
  if (bytes < 10 * 1024 ** 3) return `${Math.round(bytes / 1024 ** 2)} MiB`
  return `${Math.round(bytes / 1024 ** 3)} GiB`
}
