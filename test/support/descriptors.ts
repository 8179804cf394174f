import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { until } from './wait.js'

/** What a process's open descriptors lead to, by number; sockets, pipes and files alike. */
export function openDescriptors(pid: number | 'self' = 'self'): Map<number, string> {
  const open = new Map<number, string>()
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      open.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`))
    } catch {
      // closed since, such as the one that listed the folder
    }
  }
  return open
}

/** Sockets a process has open. */
export function socketCount(pid: number | 'self' = 'self'): number {
  return [...openDescriptors(pid).values()].filter((target) => target.startsWith('socket:')).length
}

/** Waits until a process has as many sockets as before, and fails with what is left over. */
export async function assertSockets(pid: number | 'self', expected: number, what: string): Promise<void> {
  await until(`${what}: ${expected} sockets in process ${pid}`, () => socketCount(pid) === expected).catch(() => {})
  assert.equal(socketCount(pid), expected, `${what}: sockets of process ${pid}`)
}

/** Whether a descriptor of this process is close-on-exec. */
export function isCloseOnExec(descriptor: number): boolean {
  const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1]
  return (Number.parseInt(flags ?? '0', 8) & 0o2000000) !== 0
}
