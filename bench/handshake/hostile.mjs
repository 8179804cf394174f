/** Hostile clients: what they cost the master, and how long ordinary clients wait meanwhile. */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { compiled } from '../compile.mjs'
import { cpuOf, residentOf } from '../cpu.mjs'
import { cell, rotated, spread, table } from '../table.mjs'

const CLIENTS = fileURLToPath(new URL('clients.mjs', import.meta.url))
const MEBIBYTE = 1024 * 1024
/** Milliseconds between two ordinary requests. */
const BETWEEN = 5
/** Milliseconds from when all hostile clients are at it. */
const SETTLING = 300
/** Descriptors that the master and the clients' process need for other things. */
const SPARE = 1_000
/** Milliseconds in which a master must be rid of clients that went. */
const RECOVERY_MAX = 10_000

/** @returns who comes, by what the table calls them; as many silent ones as there may be descriptors */
export function scenarios() {
  const limit = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
  const silent = Math.min(10_000, limit === null ? Number.POSITIVE_INFINITY : Number(limit[1]) - SPARE)
  return [
    { name: 'nobody', kind: null, count: 0 },
    { name: `${silent.toLocaleString('en-US')} silent`, kind: 'silent', count: silent },
    { name: '200 with a byte a second', kind: 'slow', count: 200 },
    { name: '50 with 64 KiB without an end', kind: 'endless', count: 50 },
    { name: '200/s with a false PROXY header', kind: 'pretending', count: 200 },
  ]
}

/** Clients at work; `stop` gives what became of them. */
async function attack({ kind, count }, port) {
  if (kind === null) return { counts: async () => ({ came: 0, wrong: 0 }), stop: async () => {} }
  const child = fork(CLIENTS, [kind, String(port), String(count)])
  const ended = once(child, 'exit')
  const failed = ended.then(([code, signal]) => Promise.reject(new Error(`clients (${kind}) ended: ${signal ?? code}`)))
  failed.catch(() => {})
  const said = () => Promise.race([once(child, 'message').then(([message]) => message), failed])
  const stop = async () => {
    if (child.connected) child.disconnect()
    await ended
  }
  try {
    await said()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    async counts() {
      child.send('how many?')
      return said()
    },
    stop,
  }
}

function descriptorsOf(pid) {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Waits until a master has no more descriptors than before: what went is gone. */
async function recovered(pid, before) {
  const deadline = performance.now() + RECOVERY_MAX
  while (descriptorsOf(pid) > before) {
    if (performance.now() > deadline) throw new Error(`the master keeps ${descriptorsOf(pid) - before} descriptors`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function measure({ front: [master], ports: [port] }, scenario, seconds, signal) {
  const descriptors = descriptorsOf(master)
  const attackers = await attack(scenario, port)
  try {
    await new Promise((resolve) => setTimeout(resolve, SETTLING))
    const requests = Math.ceil((seconds * 1000) / BETWEEN)
    const [cpu, start, before] = [cpuOf(master), performance.now(), await attackers.counts()]
    const probe = [String(port), String(BETWEEN), String(requests)]
    const { stdout } = await promisify(execFile)(compiled('probe'), probe, { signal })
    const [used, elapsed] = [cpuOf(master) - cpu, (performance.now() - start) / 1000]
    const resident = residentOf(master)
    const { came, wrong } = await attackers.counts()
    const { p50, p99, max, errors } = JSON.parse(stdout)
    return {
      p50: p50 / 1000,
      p99: p99 / 1000,
      max: max / 1000,
      attempts: (came - before.came) / elapsed,
      masterCpu: used / 1e4 / elapsed,
      resident: resident / MEBIBYTE,
      errors: errors + wrong,
    }
  } finally {
    await attackers.stop()
    await recovered(master, descriptors)
  }
}

/** @returns per scenario one entry a round; and the master's MiB before anybody came who meant no good */
export async function measureHostile(contender, { rounds, seconds, signal }) {
  const list = scenarios()
  const measured = Object.fromEntries(list.map(({ name }) => [name, []]))
  await measure(contender, list[0], 2, signal)
  const residentBefore = residentOf(contender.front[0]) / MEBIBYTE
  for (const scenario of list) await measure(contender, scenario, 1, signal) // warm-up
  for (let round = 0; round < rounds; round++) {
    for (const scenario of rotated(list, round)) {
      const figures = await measure(contender, scenario, seconds, signal)
      measured[scenario.name].push(figures)
      console.error(`hostile, round ${round + 1}: ${scenario.name}: p99 ${figures.p99.toFixed(2)} ms`)
    }
  }
  return { measured, residentBefore }
}

const COLUMNS = [
  ['p50 ms', 'p50', 2],
  ['p99 ms', 'p99', 2],
  ['max ms', 'max', 1],
  ['hostile conn./s', 'attempts', 0],
  ['master CPU %', 'masterCpu', 1],
  ['master MiB', 'resident', 0],
]

export function hostileText({ measured, residentBefore }) {
  const rows = Object.entries(measured).map(([name, list]) => [
    name,
    ...COLUMNS.map(([, of, digits]) => cell(spread(list.map((figures) => figures[of])), digits)),
    String(list.reduce((sum, { errors }) => sum + errors, 0)),
  ])
  const before = `The master had ${residentBefore.toFixed(0)} MiB in memory before the first of them came.`
  return `${before}\n\n${table(['hostile clients', ...COLUMNS.map(([title]) => title), 'errors'], rows)}\n`
}
