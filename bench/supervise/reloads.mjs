/** Reloads: how long they take beside the start of a worker, and what a client notices. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { compiled } from '../compile.mjs'
import { cell, rotated, spread, table } from '../table.mjs'
import { reload, SERVER } from './masters.mjs'

/** Milliseconds between two requests of the client, and how long it asks beside one reload. */
const BETWEEN = 2
const ASKING = 6_000
/** Milliseconds that it has asked before the reload begins. */
const BEFORE = 500

/** @returns milliseconds until so many servers, begun at once without a master, listen */
async function startOf(count) {
  const began = performance.now()
  const children = Array.from({ length: count }, () =>
    spawn(process.execPath, [SERVER], { stdio: ['ignore', 'pipe', 'inherit'] }),
  )
  try {
    await Promise.all(children.map((child) => once(createInterface({ input: child.stdout }), 'line')))
    return performance.now() - began
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')))
  }
}

/** An ordinary client: a request every few milliseconds, each on a connection of its own. */
async function ask(port, signal) {
  const args = [port, BETWEEN, ASKING / BETWEEN].map(String)
  const { stdout } = await promisify(execFile)(compiled('probe'), args, { signal })
  return JSON.parse(stdout)
}

/** What the client sees while nothing is done, then beside a reload; then a reload with nobody there. */
async function measure(master, signal) {
  const quiet = await ask(master.port, signal)
  const asking = ask(master.port, signal)
  await delay(BEFORE)
  const busy = await reload(master)
  const noticed = await asking
  const idle = await reload(master)
  return {
    quiet: quiet.max / 1000,
    pause: noticed.max / 1000,
    errors: noticed.errors,
    idleServes: idle.serves,
    idleGone: idle.gone,
    busyGone: busy.gone,
  }
}

/** @returns `start`: of that many servers at once, by round; `measured`: lists per master */
export async function measureReloads(running, workers, { rounds, signal }) {
  const start = []
  const measured = Object.fromEntries(running.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    start.push(await startOf(workers))
    for (const master of rotated(running, round)) {
      const figures = await measure(master, signal)
      measured[master.name].push(figures)
      console.error(`reload, round ${round + 1}: ${master.name}: ${Math.round(figures.idleGone)} ms`)
    }
  }
  return { start, measured }
}

export function reloadsText({ start, measured }, workers) {
  const rows = Object.entries(measured).map(([name, list]) => {
    const of = (key, digits = 0) => cell(spread(list.map((figures) => figures[key])), digits)
    return [
      name,
      of('idleServes'),
      of('idleGone'),
      cell(spread(list.map((figures, round) => figures.idleServes / start[round])), 2),
      of('busyGone'),
      of('quiet', 1),
      of('pause', 1),
      String(list.reduce((sum, { errors }) => sum + errors, 0)),
    ]
  })
  const head = [
    '',
    'new serve, ms',
    'old gone, ms',
    'new serve / start',
    'old gone beside a client, ms',
    'slowest answer, quiet, ms',
    'slowest answer, reload, ms',
    'failed',
  ]
  const alone = `${workers} servers started at once without a master listen after ${cell(spread(start))} ms.`
  return `${alone}\n\n${table(head, rows)}`
}
