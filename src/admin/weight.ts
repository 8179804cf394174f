import { AGENT_LAG } from '../limits.js'
import { isDraining, isServing, type SeenStatus, type SeenWorker } from './seen.js'

export type AgentState = { state: 'up'; weight: number } | { state: 'drain' } | { state: 'down' }

/**
 * What a balancer is to think of this machine: down, draining, or up with so many percent of its weight.
 *
 * Where workers have a limit, the weight is the free share of all their places. Where they have none, nobody knows what is
 * much: it is the share of workers that take connections promptly, each counted for less the later its event loop is (half at
 * a lag of 100 ms), where it says so. Never 0 while a worker is ready, as that would be a drain.
 */
export function agentState({ workers }: SeenStatus): AgentState {
  const serving = workers.filter(isServing)
  if (serving.length === 0) return { state: isDraining(workers) ? 'drain' : 'down' }
  // Those that finish what they have are on their way out, and no part of what the machine can do.
  const staying = workers.filter((one) => one.state !== 'draining' && !one.draining)
  const limited = staying.every(({ limit }) => Number.isFinite(limit))
  const share = limited ? freeShare(serving, staying) : promptShare(serving, staying)
  return { state: 'up', weight: Math.min(100, Math.max(1, Math.round(100 * share))) }
}

function freeShare(serving: readonly SeenWorker[], staying: readonly SeenWorker[]): number {
  const free = serving.map(({ limit, open, unclaimed, queued }) => Math.max(0, limit - open - unclaimed - queued))
  return total(free) / total(staying.map(({ limit }) => limit))
}

function promptShare(serving: readonly SeenWorker[], staying: readonly SeenWorker[]): number {
  const prompt = serving.filter(({ stalled }) => !stalled)
  return total(prompt.map(({ lag }) => AGENT_LAG / (AGENT_LAG + Math.max(0, lag ?? 0)))) / staying.length
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}
