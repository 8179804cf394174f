/** Load: wrk, one thread, every request on a connection of its own unless they are to stay. */
import { execFile, execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const CONNECTIONS = 50
const REPORT = fileURLToPath(new URL('report.lua', import.meta.url))

/** @throws {Error} with the command that helps: wrk is not installed and cannot be */
export function needWrk() {
  if (hasWrk()) return
  const root = process.getuid?.() === 0
  if (root) {
    console.error('installing wrk')
    try {
      execFileSync('apt-get', ['install', '-y', '-qq', 'wrk'], { stdio: ['ignore', 'ignore', 'inherit'] })
    } catch {
      // not Debian, or no network: said below
    }
  }
  if (!hasWrk()) throw new Error('wrk is missing: install it with `apt-get install wrk`')
}

function hasWrk() {
  try {
    execFileSync('wrk', ['--version'], { stdio: 'ignore' })
    return true
  } catch (error) {
    return error.code !== 'ENOENT' // it ends with 1 after saying its version
  }
}

/**
 * @param signal  ends it early, with an error
 * @param what    of each request; a host in the URL stands for this machine, whatever its name
 * @returns what bench/report.lua says: requests, microseconds, p50 and p99 in microseconds, errors
 */
export async function load(port, seconds, signal, what = {}) {
  const { url = `http://127.0.0.1:${port}/`, connections = CONNECTIONS, keepAlive = false } = what
  const close = keepAlive ? [] : ['-H', 'Connection: close']
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', REPORT, ...close]
  const { stdout } = await promisify(execFile)('wrk', [...args, url], { signal })
  return JSON.parse(stdout.trim().split('\n').at(-1))
}
