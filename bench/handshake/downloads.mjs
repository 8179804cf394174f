/** Long downloads over TLS, chosen by name: how fast, and what the process in front has to do with them. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { cpuOf, sleepsOf } from '../cpu.mjs'
import { cell, rotated, spread, table } from '../table.mjs'
import { NAMES } from './fronts.mjs'

const MEBIBYTE = 1024 * 1024
const GIBIBYTE = 1024 * MEBIBYTE
/** At once, which share the bytes of one. */
export const MANY = 8
/** Milliseconds that a front is watched for, idle or while a download runs, and those before it that do not count. */
const WATCHED = 4000
const SETTLING = 1000

/** What curl is to be called with. */
function request({ ports }, index, bytes) {
  const at = index % NAMES.length
  const there = ['--resolve', `${NAMES[at]}:${ports[at]}:127.0.0.1`]
  const url = `https://${NAMES[at]}:${ports[at]}/bytes/${bytes}`
  return ['-sS', '--insecure', '--http1.1', ...there, '-o', '/dev/null', '-w', '%{size_download} %{time_total}', url]
}

/** @returns how many bytes came, in how many seconds from the start of the connection */
async function download(contender, index, bytes, signal) {
  const { stdout } = await promisify(execFile)('curl', request(contender, index, bytes), { signal })
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
  const [frontBefore, workersBefore] = [used(front), used(workers)]
  let failed = 0
  const downloads = Array.from({ length: count }, (_, index) =>
    download(contender, index, each, signal).catch((error) => {
      console.error(error.message)
      failed += 1
      return { size: 0, seconds: 0 }
    }),
  )
  const results = await Promise.all(downloads)
  const size = results.reduce((sum, one) => sum + one.size, 0)
  const perGibibyte = (pids, before) => ((used(pids).cpu - before.cpu) / size) * GIBIBYTE
  return {
    rate: size / MEBIBYTE / Math.max(...results.map(({ seconds }) => seconds)),
    frontCpu: perGibibyte(front, frontBefore),
    workersCpu: perGibibyte(workers, workersBefore),
    errors: failed + (size === each * count ? 0 : 1),
  }
}

/** What processes use in a second from now on, once what was before is over. */
async function perSecond(pids) {
  await new Promise((resolve) => setTimeout(resolve, SETTLING))
  const before = used(pids)
  await new Promise((resolve) => setTimeout(resolve, WATCHED))
  const after = used(pids)
  const seconds = (after.at - before.at) / 1000
  return { cpu: (after.cpu - before.cpu) / seconds, sleeps: (after.sleeps - before.sleeps) / seconds }
}

/** @returns by name: each front with nobody connected, and in the midst of a download; what it does of its own is in both */
async function watch(contenders, signal) {
  const idles = await Promise.all(contenders.map(({ front }) => perSecond(front)))
  const watched = {}
  for (const [i, contender] of contenders.entries()) {
    signal.throwIfAborted()
    watched[contender.name] = { idle: idles[i], ...(await whileRunning(contender)) }
    console.error(`downloads: ${contender.name}: ${Math.round(watched[contender.name].running.cpu)} µs/s in front`)
  }
  return watched
}

async function whileRunning(contender) {
  const curl = spawn('curl', request(contender, 0, 1024 * GIBIBYTE), { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(curl, 'exit')
  const running = await perSecond(contender.front)
  const errors = curl.exitCode === null ? 0 : 1
  curl.kill()
  await ended
  return { running, errors }
}

/** @returns per name one entry a round, `{ one, many, errors }`; and what was watched, per name */
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
  const fronts = contenders.filter(({ front }) => front.length > 0)
  return { measured, watched: await watch(fronts, signal) }
}

export function downloadsText({ measured, watched }, mebibytes) {
  const kinds = { one: 'one', many: `${MANY} at once` }
  const head = ['', 'MiB/s', 'front CPU ms/GiB', 'workers CPU ms/GiB']
  const parts = Object.entries(kinds).map(([kind, title]) => {
    const rows = Object.entries(measured).map(([name, list]) => {
      const of = (value, digits) => cell(spread(list.map((one) => value(one[kind]))), digits)
      const cpu = [of((one) => one.frontCpu / 1000, 2), of((one) => one.workersCpu / 1000)]
      return [name, of(({ rate }) => rate), ...cpu]
    })
    return `### ${mebibytes} MiB, ${title}\n\n${table(head, rows)}\n`
  })
  return `${parts.join('\n')}\n${watchedText(watched)}`
}

function watchedText(watched) {
  const number = (value) => value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 })
  const rows = Object.entries(watched).map(([name, { idle, running }]) => [
    name,
    ...[idle.cpu, idle.sleeps, running.cpu, running.sleeps].map(number),
  ])
  const head = ['front', 'idle: CPU µs/s', 'wake-ups/s', 'download: CPU µs/s', 'wake-ups/s']
  return `### In the midst of a download, for ${WATCHED / 1000} s\n\n${table(head, rows)}\n`
}
