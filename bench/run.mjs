/**
 * handover against node:cluster and a dispatcher in C, on short connections: `npm run bench`.
 *
 * All contenders run at once and are measured in turn; only one has work at a time. What is compared are ratios
 * within a round, as a machine's speed drifts more between rounds than within one.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import { root } from './compile.mjs'
import { contenders, start } from './contenders.mjs'
import { cpuOf } from './cpu.mjs'
import { measureDescriptors } from './descriptors.mjs'
import { cell, rotated, spread, table } from './table.mjs'
import { load, needWrk } from './wrk.mjs'

const WARM_UP = 1

/** What handover aims at, as ratios handover / other. */
const AIMS = [
  { other: 'C dispatcher', of: 'masterCpu', what: 'master CPU', most: 1.2 },
  { other: 'cluster RR', of: 'masterCpu', what: 'master CPU', most: 0.33 },
  { other: 'cluster RR', of: 'rate', what: 'connections/s', least: 1.6 },
  { other: 'cluster SCHED_NONE', of: 'rate', what: 'connections/s', least: 1 },
]

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    workers: { type: 'string', default: '2' },
    'no-descriptors': { type: 'boolean', default: false },
  },
})
const rounds = whole('rounds')
const seconds = whole('seconds')
const workers = whole('workers')

function whole(name) {
  if (/^[1-9]\d{0,3}$/.test(options[name])) return Number(options[name])
  throw new RangeError(`--${name} takes a whole number from 1, not ${options[name]}`)
}

/** One contender under load: CPU is read right before and behind it. */
async function measure({ port, master, workers }) {
  await load(port, WARM_UP)
  const before = [master, ...workers].map(cpuOf)
  const { requests, microseconds, p50, p99, errors } = await load(port, seconds)
  const used = [master, ...workers].map((pid, i) => cpuOf(pid) - before[i])
  return {
    rate: (requests / microseconds) * 1e6,
    p50: p50 / 1000,
    p99: p99 / 1000,
    errors,
    masterCpu: used[0] / requests,
    serverCpu: used.reduce((sum, one) => sum + one, 0) / requests,
  }
}

/** @returns every contender's measurements, a list per name with one entry per round */
async function compare() {
  const list = contenders(workers)
  const running = []
  const measured = Object.fromEntries(list.map(({ name }) => [name, []]))
  try {
    for (const contender of list) running.push(await start(contender, workers))
    for (let round = 0; round < rounds; round++) {
      for (const one of rotated(running, round)) {
        const figures = await measure(one)
        measured[one.name].push(figures)
        console.error(`round ${round + 1}: ${one.name}: ${Math.round(figures.rate)} connections/s`)
      }
    }
  } finally {
    for (const one of running) await one.stop()
  }
  return measured
}

const COLUMNS = [
  ['connections/s', 'rate', 0],
  ['p50 ms', 'p50', 2],
  ['p99 ms', 'p99', 1],
  ['master µs/conn.', 'masterCpu', 1],
  ['server µs/conn.', 'serverCpu', 1],
]

function figuresTable(measured) {
  const rows = Object.entries(measured).map(([name, list]) => [
    name,
    ...COLUMNS.map(([, of, digits]) =>
      cell(
        spread(list.map((figures) => figures[of])),
        digits,
      ),
    ),
    String(list.reduce((sum, { errors }) => sum + errors, 0)),
  ])
  return table(['', ...COLUMNS.map(([title]) => title), 'errors'], rows)
}

/** Ratios are taken within each round, then their median. */
function ratiosOf(measured) {
  return AIMS.map((aim) => {
    const ratios = measured.handover.map((figures, round) => figures[aim.of] / measured[aim.other][round][aim.of])
    const { median, min, max } = spread(ratios)
    const met = aim.most === undefined ? median >= aim.least : median <= aim.most
    return { ...aim, median, min, max, met }
  })
}

function ratiosTable(ratios) {
  const rows = ratios.map(({ what, other, most, least, met, ...ratio }) => [
    `${what}: handover / ${other}`,
    cell(ratio, 2),
    most === undefined ? `at least ${least}` : `at most ${most}`,
    met ? 'yes' : 'no',
  ])
  return table(['ratio per round', 'median (min–max)', 'aim', 'met'], rows)
}

needWrk()
const machine = { node: process.version, kernel: release(), cores: cpus().length, cpu: cpus()[0]?.model ?? '' }
const measured = await compare()
const ratios = ratiosOf(measured)
console.log(`## Short connections: ${workers} workers, ${rounds} rounds of ${seconds} s\n`)
console.log(`Node ${machine.node}, Linux ${machine.kernel}, ${machine.cores} cores; medians (min–max) over the rounds.\n`)
console.log(`${figuresTable(measured)}\n\n${ratiosTable(ratios)}\n`)

const descriptors = options['no-descriptors'] ? null : await measureDescriptors({ rounds })
if (descriptors !== null) console.log(descriptors.text)

mkdirSync(`${root}build`, { recursive: true })
const json = { machine, workers, rounds, seconds, measured, ratios, descriptors: descriptors?.measured ?? null }
writeFileSync(`${root}build/bench.json`, `${JSON.stringify(json, null, 2)}\n`)

const errors = Object.values(measured).flat().reduce((sum, figures) => sum + figures.errors, 0)
if (errors > 0) {
  console.error(`${errors} requests failed: the figures do not count`)
  process.exitCode = 1
}
