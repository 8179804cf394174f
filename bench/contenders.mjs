/** Who is compared: each a master with workers that run bench/server.mjs, on a port of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { built, compiled, root } from './compile.mjs'

const SERVER = `${root}bench/server.mjs`
const START_MAX = 20_000
const STOP_MAX = 10_000

/** What ends each contender that runs. */
const stops = new Set()

/** @returns the contenders' names and commands, handover first */
export function contenders(workers) {
  const node = process.execPath
  const cluster = (policy) => [node, `${root}bench/cluster.mjs`, policy, String(workers)]
  const preload = pathToFileURL(built('worker/preload.js')).href
  const dispatcher = (policy) => [compiled('dispatcher'), policy, String(workers), node, preload, SERVER]
  return [
    { name: 'handover', command: [node, built('cli/bin.js'), 'run', '--no-control', '-w', String(workers), SERVER] },
    { name: 'cluster RR', command: cluster('rr') },
    { name: 'cluster SCHED_NONE', command: cluster('none') },
    { name: 'C dispatcher', command: dispatcher('normal') },
    { name: 'C dispatcher, SCHED_BATCH', command: dispatcher('batch') },
  ]
}

/**
 * Starts a contender; settles when all its workers listen and the port answers. `pids` goes on growing when more do.
 * @param contender  `ask` settles when the port answers, in place of `answer`
 */
export async function start({ name, command, env = process.env, ask = (port) => answer(port) }, workers) {
  const [program, ...args] = command
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: root, env })
  const pids = new Set()
  const said = []
  let port = 0
  const ready = new Promise((resolve, reject) => {
    const read = (line) => {
      said.push(line)
      const serving = /serving on port (\d+), process (\d+)/.exec(line)
      if (serving === null) return
      port = Number(serving[1])
      if (pids.add(Number(serving[2])).size === workers) resolve()
    }
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', read)
    child.once('error', reject)
    child.once('exit', (code, signal) => reject(new Error(`it ended (${signal ?? code})`)))
    setTimeout(() => reject(new Error(`it does not listen after ${START_MAX} ms`)), START_MAX).unref()
  })
  endLater(child, pids)
  try {
    await ready
    await ask(port)
  } catch (error) {
    throw new Error(`${name}: ${error.message}\n${said.join('\n')}`)
  }
  return { name, port, master: child.pid, workers: [...pids], pids }
}

/** Has a process ended by `stopAll`, and whoever of its workers is left then. */
export function endLater(child, workers = []) {
  stops.add(() => stopped(child, workers))
}

/** Ends all that was started. */
export async function stopAll() {
  await Promise.all([...stops].map((stop) => stop()))
  stops.clear()
}

/** Settles with the first answer. @param request  `get` of node:http or node:https, with options of its own */
export function answer(port, request = get, options = {}) {
  return new Promise((resolve, reject) => {
    const all = { port, host: '127.0.0.1', agent: false, ...options }
    request(all, (response) => response.resume().on('end', resolve)).on('error', reject)
  })
}

/** Ends the master, which ends its workers; whoever is left after a while is killed. */
async function stopped(child, workers) {
  if (child.pid === undefined) return
  const closed = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null
  child.kill('SIGTERM')
  const kill = setTimeout(() => child.kill('SIGKILL'), STOP_MAX)
  await closed
  clearTimeout(kill)
  for (const pid of workers) killed(pid)
}

function killed(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended by itself
  }
}
