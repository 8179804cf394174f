/** Memory of the master while its workers hold connections. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { start, stopAll } from '../contenders.mjs'
import { residentOf } from '../cpu.mjs'
import { cell, spread, table } from '../table.mjs'

const CLIENTS = fileURLToPath(new URL('../handshake/clients.mjs', import.meta.url))
const MEBIBYTE = 1024 * 1024
/** Connections held, one step after the other; the second round shows what is left of the first. */
const STEPS = [0, 1_000, 10_000, 0, 1_000, 10_000]
/** Milliseconds until memory is read, so that a collector may have come; and that connections may take to arrive or go. */
const SETTLING = 2_000
const ARRIVAL_MAX = 30_000

/** Clients that connect and say nothing. */
async function hold(port, count) {
  if (count === 0) return async () => {}
  const child = fork(CLIENTS, ['silent', String(port), String(count)])
  const ended = once(child, 'exit')
  await Promise.race([once(child, 'message'), ended.then(() => Promise.reject(new Error('the clients ended')))])
  return async () => {
    if (child.connected) child.disconnect()
    await ended
  }
}

function descriptorsOf(pids) {
  return pids.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0)
}

async function until(what, is) {
  const deadline = performance.now() + ARRIVAL_MAX
  while (!is()) {
    if (performance.now() > deadline) throw new Error(`after ${ARRIVAL_MAX} ms not yet: ${what}`)
    await delay(20)
  }
}

/** Each round has a master of its own: what one has needed once, it keeps. */
async function measure(master, workers) {
  const { port, master: pid, pids } = await start(master, workers)
  const settled = () => descriptorsOf([...pids])
  await delay(SETTLING)
  const empty = settled()
  const figures = []
  for (const count of STEPS) {
    const leave = await hold(port, count)
    await until(`workers hold ${count} connections`, () => settled() >= empty + count)
    await delay(SETTLING)
    figures.push(residentOf(pid) / MEBIBYTE)
    await leave()
    await until('they are gone', () => settled() <= empty)
  }
  await stopAll()
  return figures
}

export async function measureMemory(list, workers, { rounds }) {
  const measured = Object.fromEntries(list.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const master of list) {
      const figures = await measure(master, workers)
      measured[master.name].push(figures)
      console.error(`memory, round ${round + 1}: ${master.name}: ${figures.map(Math.round).join(', ')} MiB`)
    }
  }
  return measured
}

export function memoryText(measured) {
  const head = STEPS.map((count, i) => `${count.toLocaleString('en-US')}${i > 2 ? ' again' : ''}`)
  const rows = Object.entries(measured).map(([name, list]) => [
    name,
    ...STEPS.map((_, step) => cell(spread(list.map((figures) => figures[step])), 1)),
  ])
  return table(['', ...head], rows)
}
