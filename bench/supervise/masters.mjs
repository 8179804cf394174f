/** Masters beside each other: handover in its three modes, node:cluster, PM2. Each runs bench/server.mjs in its workers. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { built, root } from '../compile.mjs'
import { start } from '../contenders.mjs'

export const SERVER = `${root}bench/server.mjs`
export const MODES = ['dispatch', 'share', 'reuseport']
const PM2 = 'pm2@7'
/** Milliseconds in which a reload must be through, and between looks whether it is. */
const RELOAD_MAX = 30_000
const LOOK = 5

/** Installs it where it is not. @returns the folder of its commands */
export function needPm2() {
  const folder = `${root}build/peers/pm2`
  const bin = `${folder}/node_modules/.bin`
  if (!existsSync(`${bin}/pm2`)) {
    mkdirSync(folder, { recursive: true })
    console.error(`installing ${PM2}`)
    const quiet = ['--no-save', '--no-audit', '--no-fund', '--silent']
    execFileSync('npm', ['install', '--prefix', folder, ...quiet, PM2], { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  const { version } = JSON.parse(readFileSync(`${folder}/node_modules/pm2/package.json`, 'utf8'))
  return { bin, version }
}

/**
 * What can be started.
 * @param scratch  a folder for sockets and what PM2 writes
 * @returns for each its name and command, and how it is reloaded: a command, or a signal to the master
 */
export function masters(workers, scratch) {
  const node = process.execPath
  const command = built('cli/bin.js')
  const handover = MODES.map((mode) => {
    const control = ['--control', `${scratch}/${mode}.sock`]
    const how = ['-w', String(workers), '--distribution', mode]
    return {
      name: `handover, ${mode}`,
      command: [node, command, 'run', ...control, ...how, SERVER],
      reload: { command: [node, command, 'reload', ...control, '--health-window', '0'] },
    }
  })
  const primary = [node, built('prove/cluster-primary.js'), String(workers), SERVER]
  const policies = { rr: 'cluster RR', none: 'cluster SCHED_NONE' }
  const cluster = Object.entries(policies).map(([policy, name]) => ({
    name,
    command: primary,
    env: { ...process.env, NODE_CLUSTER_SCHED_POLICY: policy },
    reload: { signal: 'SIGUSR2' },
  }))
  const { bin, version } = needPm2()
  const env = { ...process.env, PM2_HOME: `${scratch}/pm2` }
  const pm2 = {
    name: `PM2 ${version}`,
    command: [`${bin}/pm2-runtime`, 'start', SERVER, '-i', String(workers)],
    env,
    reload: { command: [`${bin}/pm2`, 'reload', 'all'] },
  }
  return [...handover, ...cluster, pm2]
}

/** Starts all of them; each remembers how it was made. */
export async function startAll(list, workers) {
  const running = []
  for (const master of list) running.push({ ...master, ...(await start(master, workers)) })
  return running
}

/**
 * Reloads a running master.
 * @returns milliseconds until as many new workers serve, and until the old ones are gone as well
 */
export async function reload({ name, reload, env, pids, master }) {
  const before = [...pids]
  const began = performance.now()
  const child = 'command' in reload ? spawn(reload.command[0], reload.command.slice(1), { env, stdio: 'ignore' }) : null
  if (child === null) process.kill(master, reload.signal)
  const ended = child === null ? null : once(child, 'exit')
  const within = async (done) => {
    while (!done()) {
      if (performance.now() - began > RELOAD_MAX) throw new Error(`${name}: not reloaded after ${RELOAD_MAX} ms`)
      await delay(LOOK)
    }
    return performance.now() - began
  }
  const serves = await within(() => pids.size >= 2 * before.length)
  const gone = await within(() => !before.some(alive))
  const [code] = (await ended) ?? [0]
  if (code !== 0) throw new Error(`${name}: the command to reload ended with ${code}`)
  for (const pid of before) pids.delete(pid)
  return { serves, gone }
}

function alive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
