/** Requests per second: one for each connection, and many on connections that stay. */
import { cpuOf } from '../cpu.mjs'
import { cell, rotated, spread, table } from '../table.mjs'
import { load } from '../wrk.mjs'

const WARM_UP = 1
const BESIDE = 'cluster RR'

/** One master under load: CPU is read right before and behind it. */
async function measure({ port, master, pids }, keepAlive, { seconds, signal }) {
  await load(port, WARM_UP, signal, { keepAlive })
  const all = [master, ...pids]
  const before = all.map(cpuOf)
  const { requests, microseconds, p50, p99, errors } = await load(port, seconds, signal, { keepAlive })
  const [front, ...workers] = all.map((pid, i) => cpuOf(pid) - before[i])
  return {
    rate: (requests / microseconds) * 1e6,
    p50: p50 / 1000,
    p99: p99 / 1000,
    errors,
    masterCpu: front / requests,
    totalCpu: [front, ...workers].reduce((sum, one) => sum + one) / requests,
    uneven: Math.max(...workers) / Math.max(1, Math.min(...workers)),
  }
}

/** @returns measurements of every master, a list per name with one entry per round */
export async function measureModes(running, keepAlive, how) {
  const measured = Object.fromEntries(running.map(({ name }) => [name, []]))
  for (let round = 0; round < how.rounds; round++) {
    for (const master of rotated(running, round)) {
      const figures = await measure(master, keepAlive, how)
      measured[master.name].push(figures)
      const what = keepAlive ? 'keep-alive' : 'short'
      console.error(`${what}, round ${round + 1}: ${master.name}: ${Math.round(figures.rate)} requests/s`)
    }
  }
  return measured
}

const COLUMNS = [
  ['requests/s', 'rate', 0],
  ['p50 ms', 'p50', 2],
  ['p99 ms', 'p99', 1],
  ['master µs/request', 'masterCpu', 1],
  ['all µs/request', 'totalCpu', 1],
  ['busiest / idlest worker', 'uneven', 2],
]

export function modesText(measured) {
  const rows = Object.entries(measured).map(([name, list]) => [
    name,
    ...COLUMNS.map(([, of, digits]) => cell(spread(list.map((figures) => figures[of])), digits)),
    cell(spread(list.map((figures, round) => figures.rate / measured[BESIDE][round].rate)), 2),
    String(list.reduce((sum, { errors }) => sum + errors, 0)),
  ])
  return table(['', ...COLUMNS.map(([title]) => title), `requests/s / ${BESIDE}`, 'errors'], rows)
}
