/** Long downloads over TLS, chosen by name: how fast, and what the process in front has to do with them. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { cpuOf, sleepsOf } from '../cpu.mjs'
import { cell, rotated, spread, table } from '../table.mjs'
import { NAMES } from './fronts.mjs'

const MEBIBYTE = 1024 * 1024
const GIBIBYTE = 1024 * MEBIBYTE
const SAMPLE_EVERY = 10
/** Milliseconds from the start and before the end that are not counted as in between: handing over, and closing. */
const EDGE = 100
/** At once, which share the bytes of one. */
export const MANY = 8

/** @returns how many bytes came, in how many seconds from the start of the connection */
async function download({ ports }, index, bytes, signal) {
  const at = index % NAMES.length
  const there = ['--resolve', `${NAMES[at]}:${ports[at]}:127.0.0.1`]
  const args = ['-sS', '--insecure', '--http1.1', ...there, '-o', '/dev/null', '-w', '%{size_download} %{time_total}']
  const { stdout } = await promisify(execFile)('curl', [...args, `https://${NAMES[at]}:${ports[at]}/bytes/${bytes}`], {
    signal,
  })
  const [size, seconds] = stdout.split(' ').map(Number)
  return { size, seconds }
}

/** What processes used up to now. */
function used(pids) {
  const sum = (of) => pids.reduce((total, pid) => total + of(pid), 0)
  return { at: performance.now(), cpu: sum(cpuOf), sleeps: sum(sleepsOf) }
}

/** `count` downloads at once that bring `bytes` in all. */
async function measure(contender, count, bytes, signal) {
  const { front, workers } = contender
  const each = Math.floor(bytes / count)
  const before = used(front)
  const workersBefore = used(workers)
  const samples = []
  const sampling = setInterval(() => samples.push(used(front)), SAMPLE_EVERY)
  let failed = 0
  const downloads = Array.from({ length: count }, (_, index) =>
    download(contender, index, each, signal).catch((error) => {
      console.error(error.message)
      failed += 1
      return { size: 0, seconds: 0 }
    }),
  )
  const results = await Promise.all(downloads)
  clearInterval(sampling)
  const after = used(front)
  const size = results.reduce((sum, one) => sum + one.size, 0)
  const perGibibyte = (cpu) => (cpu / size) * GIBIBYTE
  return {
    rate: size / MEBIBYTE / Math.max(...results.map(({ seconds }) => seconds)),
    frontCpu: perGibibyte(after.cpu - before.cpu),
    workersCpu: perGibibyte(used(workers).cpu - workersBefore.cpu),
    between: inBetween(samples, before.at + EDGE, after.at - EDGE),
    errors: failed + (size === each * count ? 0 : 1),
  }
}

/** What the front did while all connections were running; null if that was too short to tell. */
function inBetween(samples, from, to) {
  const inside = samples.filter(({ at }) => at >= from && at <= to)
  if (inside.length < 2) return null
  const [first, last] = [inside[0], inside[inside.length - 1]]
  return { milliseconds: last.at - first.at, cpu: last.cpu - first.cpu, sleeps: last.sleeps - first.sleeps }
}

/** @returns per name: one entry a round, `{ one, many }` */
export async function measureDownloads(contenders, { rounds, mebibytes, signal }) {
  const measured = Object.fromEntries(contenders.map(({ name }) => [name, []]))
  const bytes = mebibytes * MEBIBYTE
  for (const contender of contenders) await measure(contender, MANY, bytes / 4, signal) // warm-up
  for (let round = 0; round < rounds; round++) {
    for (const contender of rotated(contenders, round)) {
      const one = await measure(contender, 1, bytes, signal)
      const many = await measure(contender, MANY, bytes, signal)
      measured[contender.name].push({ one, many, errors: one.errors + many.errors })
      console.error(`downloads, round ${round + 1}: ${contender.name}: ${Math.round(one.rate)} MiB/s`)
    }
  }
  return measured
}

export function downloadsText(measured, mebibytes) {
  const kinds = { one: 'one', many: `${MANY} at once` }
  return Object.entries(kinds)
    .map(([kind, title]) => {
      const rows = Object.entries(measured).map(([name, list]) =>
        row(
          name,
          list.map((one) => one[kind]),
        ),
      )
      const head = ['MiB/s', 'front CPU ms/GiB', 'workers CPU ms/GiB', 'front in between: CPU µs', 'wake-ups', 'of ms']
      return `### ${mebibytes} MiB, ${title}\n\n${table(['', ...head], rows)}\n`
    })
    .join('\n')
}

function row(name, list) {
  const of = (value, digits) => cell(spread(list.map(value)), digits)
  const known = list.filter(({ between }) => between !== null).map(({ between }) => between)
  const between = ['cpu', 'sleeps', 'milliseconds'].map((key) =>
    known.length === 0 ? 'too short' : cell(spread(known.map((one) => one[key]))),
  )
  return [
    name,
    of(({ rate }) => rate),
    of((one) => one.frontCpu / 1000, 2),
    of((one) => one.workersCpu / 1000),
    ...between,
  ]
}
