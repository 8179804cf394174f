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
import { contenders, start, stopAll } from './contenders.mjs'
import { cpuOf } from './cpu.mjs'
import { measureDescriptors } from './descriptors.mjs'
import { interruption, whole } from './options.mjs'
import { cell, rotated, spread, table } from './table.mjs'
import { load, needWrk } from './wrk.mjs'

const WARM_UP = 1

/** Ratios handover / other, and what handover aims at. */
const RATIOS = [
  { what: 'master CPU', of: 'masterCpu', other: 'C dispatcher', most: 1.2 },
  { what: 'master CPU', of: 'masterCpu', other: 'C dispatcher, SCHED_BATCH' },
  { what: 'master CPU', of: 'masterCpu', other: 'cluster RR', most: 0.33 },
  { what: 'server CPU', of: 'serverCpu', other: 'cluster RR' },
  { what: 'connections/s', of: 'rate', other: 'cluster RR', least: 1.6 },
  { what: 'connections/s', of: 'rate', other: 'cluster SCHED_NONE', least: 1 },
  { what: 'connections/s', of: 'rate', other: 'C dispatcher' },
]
/** What a dispatcher in front of the same workers can reach at all: its ratios to the others stand beside. */
const FLOOR = 'C dispatcher'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    workers: { type: 'string', default: '2' },
    'no-descriptors': { type: 'boolean', default: false },
  },
})
const rounds = whole(options, 'rounds')
const seconds = whole(options, 'seconds')
const workers = whole(options, 'workers')

const interrupted = interruption()

/** One contender under load: CPU is read right before and behind it. */
async function measure({ port, master, workers }) {
  await load(port, WARM_UP, interrupted)
  const before = [master, ...workers].map(cpuOf)
  const { requests, microseconds, p50, p99, errors } = await load(port, seconds, interrupted)
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
    await stopAll()
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
    ...COLUMNS.map(([, of, digits]) => cell(spread(list.map((figures) => figures[of])), digits)),
    String(list.reduce((sum, { errors }) => sum + errors, 0)),
  ])
  return table(['', ...COLUMNS.map(([title]) => title), 'errors'], rows)
}

/** Taken within each round. */
function ratio(measured, name, { other, of }) {
  return spread(measured[name].map((figures, round) => figures[of] / measured[other][round][of]))
}

function ratiosOf(measured) {
  return RATIOS.map((row) => {
    const reached = ratio(measured, 'handover', row)
    const { least = 0, most = Number.POSITIVE_INFINITY } = row
    return {
      ...row,
      handover: reached,
      floor: row.other.startsWith(FLOOR) ? null : ratio(measured, FLOOR, row),
      met: reached.median >= least && reached.median <= most,
    }
  })
}

function aimOf({ least, most, met }) {
  if (least === undefined && most === undefined) return ''
  return `${least === undefined ? `at most ${most}` : `at least ${least}`}: ${met ? 'met' : 'missed'}`
}

function ratiosTable(ratios) {
  const rows = ratios.map((row) => [
    `${row.what} / ${row.other}`,
    cell(row.handover, 2),
    aimOf(row),
    row.floor === null ? '' : cell(row.floor, 2),
  ])
  return table(['ratio', 'handover', 'aim', FLOOR], rows)
}

async function main() {
  needWrk()
  const machine = { node: process.version, kernel: release(), cores: cpus().length, cpu: cpus()[0]?.model ?? '' }
  const measured = await compare()
  const ratios = ratiosOf(measured)
  const { node, kernel, cores } = machine
  console.log(`## Short connections: ${workers} workers, ${rounds} rounds of ${seconds} s\n`)
  console.log(`Node ${node}, Linux ${kernel}, ${cores} cores. Medians (min–max) over the rounds; ratios within each.\n`)
  console.log(`${figuresTable(measured)}\n\n${ratiosTable(ratios)}\n`)

  const descriptors = options['no-descriptors'] ? null : await measureDescriptors({ rounds, signal: interrupted })
  if (descriptors !== null) console.log(descriptors.text)

  mkdirSync(`${root}build`, { recursive: true })
  const json = { machine, workers, rounds, seconds, measured, ratios, descriptors: descriptors?.measured ?? null }
  writeFileSync(`${root}build/bench.json`, `${JSON.stringify(json, null, 2)}\n`)

  const all = Object.values(measured).flat()
  const errors = all.reduce((sum, figures) => sum + figures.errors, 0)
  if (errors > 0) throw new Error(`${errors} requests failed: the figures do not count`)
}

main().catch((error) => {
  console.error(interrupted.aborted ? 'interrupted' : error.message)
  process.exitCode = 1
})
