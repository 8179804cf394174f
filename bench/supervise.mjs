/**
 * handover's three modes beside node:cluster and PM2: `npm run bench:supervise`.
 *
 * Requests per second; how long a reload takes, and what a client notices of it; the master's memory while workers hold
 * connections. Masters stand ready at once and are measured in turn, as in run.mjs; ratios are taken within a round.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { compiled, root } from './compile.mjs'
import { stopAll } from './contenders.mjs'
import { chosen, interruption, whole } from './options.mjs'
import { masters, startAll } from './supervise/masters.mjs'
import { measureMemory, memoryText } from './supervise/memory.mjs'
import { measureModes, modesText } from './supervise/modes.mjs'
import { measureReloads, reloadsText } from './supervise/reloads.mjs'
import { needWrk } from './wrk.mjs'

const PARTS = ['short', 'alive', 'reloads', 'memory']

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    workers: { type: 'string', default: '2' },
    only: { type: 'string', default: PARTS.join(',') },
  },
})
const interrupted = interruption()
const how = { rounds: whole(options, 'rounds'), seconds: whole(options, 'seconds'), signal: interrupted }
const workers = whole(options, 'workers')
const only = chosen(options.only, PARTS)

/** One part after the other, with nothing else running. */
async function measureAll(list) {
  const parts = {}
  if (only.some((part) => part !== 'memory')) {
    const running = await startAll(list, workers)
    if (only.includes('short')) parts.short = await measureModes(running, false, how)
    if (only.includes('alive')) parts.alive = await measureModes(running, true, how)
    if (only.includes('reloads')) parts.reloads = await measureReloads(running, workers, how)
    await stopAll()
  }
  if (only.includes('memory')) parts.memory = await measureMemory(list, workers, how)
  return parts
}

function report({ short, alive, reloads, memory }) {
  const part = (title, text) => console.log(`## ${title}\n\n${text}\n`)
  const { rounds, seconds } = how
  const times = `${workers} workers, ${rounds} rounds`
  console.log(
    `Node ${process.version}, Linux ${release()}, ${cpus().length} cores. Medians (min–max) over the rounds; ratios within each.\n`,
  )
  if (short !== undefined) part(`A connection for each request: ${times} of ${seconds} s`, modesText(short))
  if (alive !== undefined) part(`Connections that stay: ${times} of ${seconds} s`, modesText(alive))
  if (reloads !== undefined) part(`Reloads: ${times}`, reloadsText(reloads, workers))
  if (memory !== undefined) part(`Memory of the master in MiB, by open connections: ${times}`, memoryText(memory))
}

async function main() {
  needWrk()
  compiled('probe')
  const scratch = mkdtempSync(`${tmpdir()}/handover-bench-`)
  let parts
  try {
    parts = await measureAll(masters(workers, scratch))
  } finally {
    await stopAll()
    rmSync(scratch, { recursive: true, force: true })
  }
  report(parts)
  const machine = { node: process.version, kernel: release(), cores: cpus().length, cpu: cpus()[0]?.model ?? '' }
  mkdirSync(`${root}build`, { recursive: true })
  const { rounds, seconds } = how
  const json = { machine, workers, rounds, seconds, ...parts }
  writeFileSync(`${root}build/bench-supervise.json`, `${JSON.stringify(json, null, 2)}\n`)
  const lists = [parts.short, parts.alive, parts.reloads?.measured].flatMap((one) => Object.entries(one ?? {}))
  const ours = lists.filter(([name]) => name.startsWith('handover')).flatMap(([, list]) => list)
  const errors = ours.reduce((sum, figures) => sum + figures.errors, 0)
  if (errors > 0) throw new Error(`${errors} requests to handover failed: the figures do not count`)
}

main().catch((error) => {
  console.error(interrupted.aborted ? 'interrupted' : error.message)
  process.exitCode = 1
})
