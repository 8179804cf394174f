import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { socketpair, writable } from '../../src/sendmsg/index.js'
import { connectionsAt } from './kernel-table.js'
import { until } from './wait.js'

// The queue that all waits of a thread share comes with the first wait and stays: made here, it is no test's leak.
const warmUp = socketpair()
await writable(warmUp[0])
for (const end of warmUp) end.close()

// Where this is set, Node reads that file on a thread of its own, at a moment of its own: what is open is not ours to count.
const extra = process.env.NODE_EXTRA_CA_CERTS
const authorities = extra && existsSync(extra) ? realpathSync(extra) : null

/** What a process's open descriptors lead to, by number; sockets, pipes and files alike. */
export function openDescriptors(pid: number | 'self' = 'self'): Map<number, string> {
  const open = new Map<number, string>()
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${name}`)
      if (target !== authorities) open.set(Number(name), target)
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

/** Connections that came to a TCP port and that this process holds a descriptor of. */
export function copiesHeld(port: number): number {
  const inodes = new Set(connectionsAt(port).map(({ inode }) => `socket:[${inode}]`))
  return [...openDescriptors().values()].filter((target) => inodes.has(target)).length
}

/** Whether a descriptor of this process is close-on-exec. */
export function isCloseOnExec(descriptor: number): boolean {
  const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1]
  return (Number.parseInt(flags ?? '0', 8) & 0o2000000) !== 0
}

/**
 * Fails if the test leaves another set of descriptors open than it found. Call it first: what is registered with
 * `t.after` from then on runs before the count, last in first out.
 */
export function noLeak(t: TestContext): void {
  const before = openDescriptors()
  const hooks: (() => unknown)[] = []
  t.after(async () => {
    for (const hook of hooks) await hook()
    const left = (): string[] =>
      [...openDescriptors()].filter(([number]) => !before.has(number)).map(([, target]) => target)
    await until('no descriptor is left over', () => left().length === 0, 10_000).catch(() => {})
    assert.deepEqual(left(), [], 'descriptors left over')
  })
  t.after = (hook) => void hooks.unshift(hook as () => unknown)
}
