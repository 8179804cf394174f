/** Short connections, a request each: what the process in front costs, and all of them together. */
import { cpuOf } from '../cpu.mjs'
import { cell, rotated, spread, table } from '../table.mjs'
import { load } from '../wrk.mjs'
import { DIRECT, IMMEDIATE, NAMES, ROUTED } from './fronts.mjs'

const WARM_UP = 1
/** Connections after which a front written in JavaScript is compiled, and seconds that it gets for them at most. */
const COMPILED_AFTER = 40_000
const COMPILED_MAX = 12
/** For each of the two names. */
const CONNECTIONS = 25

/** Half of the clients ask for either name. */
async function bothNames({ ports }, scheme, seconds, signal) {
  const loads = NAMES.map((name, i) => {
    const url = `${scheme}://${name}:${ports[i]}/`
    return load(ports[i], seconds, signal, { url, connections: CONNECTIONS })
  })
  const results = await Promise.all(loads)
  const sum = (of) => results.reduce((total, one) => total + one[of], 0)
  return {
    requests: sum('requests'),
    seconds: Math.max(...results.map((one) => one.microseconds)) / 1e6,
    errors: sum('errors'),
  }
}

/** One contender under load: CPU is read right before and behind it. */
async function measure(contender, scheme, seconds, signal) {
  await bothNames(contender, scheme, WARM_UP, signal)
  const { front, workers } = contender
  const before = [...front, ...workers].map(cpuOf)
  const loaded = await bothNames(contender, scheme, seconds, signal)
  const used = [...front, ...workers].map((pid, i) => (cpuOf(pid) - before[i]) / loaded.requests)
  const sum = (list) => list.reduce((total, one) => total + one, 0)
  return {
    rate: loaded.requests / loaded.seconds,
    frontCpu: sum(used.slice(0, front.length)),
    totalCpu: sum(used),
    errors: loaded.errors,
  }
}

/** Over TLS, seconds are not enough for that: few connections come in one, as the workers have so much to do. */
async function warmUp(contender, scheme, signal) {
  const step = 2
  let requests = 0
  for (let seconds = 0; requests < COMPILED_AFTER && seconds < COMPILED_MAX; seconds += step) {
    requests += (await bothNames(contender, scheme, step, signal)).requests
  }
}

/** @returns every contender's measurements, a list per name with one entry per round */
export async function measureConnections(contenders, scheme, { rounds, seconds, signal }) {
  const measured = Object.fromEntries(contenders.map(({ name }) => [name, []]))
  for (const contender of contenders) {
    if (contender.name === IMMEDIATE || contender.name === ROUTED) await warmUp(contender, scheme, signal)
  }
  for (let round = 0; round < rounds; round++) {
    for (const contender of rotated(contenders, round)) {
      const figures = await measure(contender, scheme, seconds, signal)
      measured[contender.name].push(figures)
      console.error(`${scheme}, round ${round + 1}: ${contender.name}: ${Math.round(figures.rate)} connections/s`)
    }
  }
  return measured
}

const COLUMNS = [
  ['connections/s', 'rate', 0],
  ['front µs/conn.', 'frontCpu', 1],
  ['total µs/conn.', 'totalCpu', 1],
]

/** Ratios of the routed one to others, taken within each round, and what is aimed at. */
const RATIOS = [
  { what: 'front CPU', of: 'frontCpu', other: IMMEDIATE, most: 1.5 },
  { what: 'front CPU', of: 'frontCpu', other: 'nginx stream' },
  { what: 'front CPU', of: 'frontCpu', other: 'HAProxy' },
  { what: 'total CPU', of: 'totalCpu', other: IMMEDIATE },
  { what: 'total CPU', of: 'totalCpu', other: 'nginx stream' },
  { what: 'total CPU', of: 'totalCpu', other: 'HAProxy' },
  { what: 'total CPU', of: 'totalCpu', other: DIRECT },
  { what: 'connections/s', of: 'rate', other: 'nginx stream' },
  { what: 'connections/s', of: 'rate', other: 'HAProxy' },
]

export function ratiosOf(measured) {
  return RATIOS.filter(({ other }) => other in measured).map((row) => {
    const list = measured[ROUTED].map((figures, round) => figures[row.of] / measured[row.other][round][row.of])
    const reached = spread(list)
    return { ...row, reached, met: row.most === undefined ? null : reached.median <= row.most }
  })
}

export function connectionsText(measured, ratios) {
  const rows = Object.entries(measured).map(([name, list]) => [
    name,
    ...COLUMNS.map(([, of, digits]) => cell(spread(list.map((figures) => figures[of])), digits)),
    String(errorsOf(measured[name])),
  ])
  const compared = ratios.map(({ what, other, reached, most, met }) => [
    `${what} / ${other}`,
    cell(reached, 2),
    met === null ? '' : `at most ${most}: ${met ? 'met' : 'missed'}`,
  ])
  const figures = table(['', ...COLUMNS.map(([title]) => title), 'errors'], rows)
  return `${figures}\n\n${table([`ratio of "${ROUTED}"`, '', 'aim'], compared)}\n`
}

export function errorsOf(list) {
  return list.reduce((sum, { errors }) => sum + errors, 0)
}
