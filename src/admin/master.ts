import { readdir, readFile } from 'node:fs/promises'

/** What this process takes; null: this system does not say. */
export interface MasterProcess {
  memory: number
  /** Seconds of processor time. */
  cpu: number
  /** Seconds since the epoch. */
  started: number
  descriptors: number | null
  descriptorsMax: number | null
}

const started = Date.now() / 1000 - process.uptime()

export async function masterProcess(): Promise<MasterProcess> {
  const { user, system } = process.cpuUsage()
  const [descriptors, descriptorsMax] = await Promise.all([countDescriptors(), descriptorLimit()])
  return { memory: process.memoryUsage.rss(), cpu: (user + system) / 1e6, started, descriptors, descriptorsMax }
}

/** @see proc(5) /proc/pid/fd; the one that lists the folder is counted too */
async function countDescriptors(): Promise<number | null> {
  const names = await readdir('/proc/self/fd').catch(() => null)
  return names === null ? null : names.length
}

async function descriptorLimit(): Promise<number | null> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
  return soft === undefined ? null : Number(soft)
}
