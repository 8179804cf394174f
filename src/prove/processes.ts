import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** Milliseconds between looks whether a process is gone. */
const LOOK = 1

interface Stat {
  parent: number
  state: string
}

/** @returns null: there is no such process, or this is no Linux */
function stat(pid: number | string): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name may hold blanks and brackets: what counts stands behind the last one.
    const [state = '', parent = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state, parent: Number(parent) }
  } catch {
    return null
  }
}

/** Whether it runs: one that has ended and waits for its parent to look has closed all it had. */
export function runs(pid: number): boolean {
  const found = stat(pid)
  if (found !== null) return found.state !== 'Z' && found.state !== 'X'
  if (process.platform === 'linux') return false
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** All processes that descend from this one and have no children: those that do the work. Linux. @see proc(5) */
export function leaves(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const found = stat(name)
    if (found === null || found.state === 'Z') continue
    const siblings = children.get(found.parent)
    if (siblings === undefined) children.set(found.parent, [Number(name)])
    else siblings.push(Number(name))
  }
  const below = (pid: number): number[] => {
    const own = children.get(pid) ?? []
    return own.length === 0 ? [pid] : own.flatMap(below)
  }
  return (children.get(root) ?? []).flatMap(below)
}

/** Settles when none of them runs any more. @returns false: some do after this time */
export async function gone(pids: readonly number[], milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds
  while (pids.some(runs)) {
    if (performance.now() > deadline) return false
    await delay(LOOK)
  }
  return true
}

/** Sends a signal to a process, or to a group by its negative number, that may be gone. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // it is gone
  }
}

/**
 * Sees to it that a process is told to end when this one is gone, however that came about: a shell that waits for the end of
 * its input. @returns what ends that
 */
export function endsWithUs(pid: number): () => void {
  const words = ['-c', 'read nothing; kill -TERM "$1"', 'sh', String(pid)]
  const shell = spawn('/bin/sh', words, { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  shell.on('error', () => {})
  return () => {
    shell.kill('SIGKILL')
    shell.stdin.destroy()
  }
}
