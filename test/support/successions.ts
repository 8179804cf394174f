/** Masters of their own that are replaced: `test/fixtures/succession-master.mjs`. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { fixture } from './paths.js'
import { until } from './wait.js'

export interface Said {
  what: string
  value: unknown
  /** Who said it. */
  master: number
}

export interface Succession {
  port: number
  /** The socket's, where that is what the program listens on. */
  path: string
  /** The first workers. */
  pids: number[]
  /** Who is the master now. */
  master(): number
  /** All that any master said, in order. */
  said: Said[]
  /** Waits until something was said so often; gives the last. */
  hears<Value>(what: string, count?: number): Promise<Value>
  /** Has the master replaced; settles when the successor serves, and says who it is. */
  replace(): Promise<number>
  /** What the master tells of itself. */
  status(): Promise<{
    workers: {
      worker: number
      generation: number
      pid: number
      open: number
      unclaimed: number
      total: number
      restarts: number
    }[]
    dispatched: number
    waiting: number
    undecided: number
  }>
}

/** Whether a process is there and no zombie, which whoever it was left to may look at late. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
  } catch {
    return false
  }
}

/** Starts one; all masters and workers end with the test. */
export async function succession(
  t: TestContext,
  script: string,
  env: NodeJS.ProcessEnv = {},
  passed: { names: string; descriptors: number[] } | null = null,
): Promise<Succession> {
  const master = fixture('succession-master.mjs')
  const started =
    passed === null
      ? [process.execPath, master]
      : ['/bin/sh', '-c', 'LISTEN_PID=$$ exec "$0" "$1"', process.execPath, master]
  const [command, ...args] = started as [string, ...string[]]
  const child = spawn(command, args, {
    env: {
      ...process.env,
      SCRIPT: script,
      ...(passed && { LISTEN_FDS: String(passed.descriptors.length), LISTEN_FDNAMES: passed.names }),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe', ...(passed?.descriptors ?? [])],
  }) as ChildProcessByStdio<null, Readable, Readable>
  const said: Said[] = []
  const other: string[] = []
  const pids = new Set<number>([child.pid ?? 0])
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      if (!line.startsWith('{"what"')) return void other.push(line)
      const one = JSON.parse(line) as Said
      said.push(one)
      pids.add(one.master)
      for (const pid of (one.value as { pids?: number[] } | null)?.pids ?? []) pids.add(pid)
      if (one.what === 'started') pids.add((one.value as { pid: number }).pid)
      if (one.what === 'replaced') pids.add(one.value as number)
    })
  }
  t.after(async () => {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {}
    }
    child.stdout.destroy()
    child.stderr.destroy()
    await until('all processes are gone', () => ![...pids].some(isRunning))
  })
  const hears = async <Value>(what: string, count = 1): Promise<Value> => {
    const all = (): Said[] => said.filter((one) => one.what === what)
    await until(`"${what}" is said ${count} times`, () => all().length >= count, 30_000).catch((error: Error) => {
      throw new Error(`${error.message}\n${said.map((one) => JSON.stringify(one)).join('\n')}\n${other.join('\n')}`)
    })
    return all().at(-1)?.value as Value
  }
  const first = await hears<{ port: number; path: string; pids: number[] }>('serving')
  const now = (): number => said.filter(({ what }) => what === 'serving').at(-1)?.master as number
  const counted = (what: string): number => said.filter((one) => one.what === what).length
  return {
    ...first,
    said,
    hears,
    master: now,
    async replace() {
      const before = counted('serving')
      process.kill(now(), 'SIGUSR2')
      await hears('serving', before + 1)
      return now()
    },
    async status() {
      const before = counted('status')
      process.kill(now(), 'SIGCONT')
      return hears('status', before + 1)
    },
  }
}
