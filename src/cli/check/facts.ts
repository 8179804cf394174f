import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { type DescriptorLimit, descriptorLimit } from './descriptors.js'

/** What the machine says, as far as a service depends on it. Null: it does not say. */
export interface Facts {
  readonly node: string
  readonly platform: string
  readonly descriptors: DescriptorLimit | null
  readonly processors: number
  /** Processors' worth of time the control group may use. */
  readonly quota: number | null
  /** Bytes that this service may have, by its control group or as the machine has no more. */
  readonly memory: { readonly bytes: number; readonly from: 'control group' | 'machine' }
  readonly somaxconn: number | null
  /** The first port that needs no right. */
  readonly firstFreePort: number
  readonly mayBindAny: boolean
  /** Numbers of TCP ports on which somebody listens. */
  readonly listening: ReadonlySet<number>
  readonly notifySocket: string | null
  /** Ports that systemd passed. */
  readonly passed: number
}

export function facts(env: NodeJS.ProcessEnv = process.env): Facts {
  const group = controlGroup()
  const bytes = group.memory ?? Number.POSITIVE_INFINITY
  const { NOTIFY_SOCKET: notifySocket = null, LISTEN_FDS: passed = '0', LISTEN_PID: pid } = env
  return {
    node: process.versions.node,
    platform: process.platform,
    descriptors: descriptorLimit(),
    processors: availableParallelism(),
    quota: group.quota,
    memory: bytes < totalmem() ? { bytes, from: 'control group' } : { bytes: totalmem(), from: 'machine' },
    somaxconn: numberIn('/proc/sys/net/core/somaxconn'),
    firstFreePort: numberIn('/proc/sys/net/ipv4/ip_unprivileged_port_start') ?? 1024,
    mayBindAny: mayBindAny(),
    listening: new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => listeningIn(read(path) ?? ''))),
    notifySocket,
    passed: pid === undefined || Number(pid) === process.pid ? Number(passed) || 0 : 0,
  }
}

/** Numbers of the ports of a table of the kernel's that listen. */
export function listeningIn(table: string): number[] {
  return [...table.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A /gm)].map(([, port]) =>
    Number.parseInt(port as string, 16),
  )
}

/** The narrowest limits from this process's control group up to the root. */
function controlGroup(): { memory: number | null; quota: number | null } {
  const path = /^0::(\/.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1]
  const folders = (path ?? '/').split('/').map((_, i, all) => join('/sys/fs/cgroup', ...all.slice(0, i + 1)))
  const memories = [...folders.map((folder) => numberIn(join(folder, 'memory.max')))]
  memories.push(numberIn('/sys/fs/cgroup/memory/memory.limit_in_bytes'))
  const quotas = folders.map((folder) => {
    const [quota, period] = (read(join(folder, 'cpu.max')) ?? 'max 1').trim().split(' ').map(Number)
    return Number.isFinite(quota) && period ? (quota as number) / period : null
  })
  return { memory: least(memories), quota: least(quotas) }
}

function least(all: readonly (number | null)[]): number | null {
  const found = all.filter((one): one is number => one !== null)
  return found.length === 0 ? null : Math.min(...found)
}

/** Root, or CAP_NET_BIND_SERVICE (10). */
function mayBindAny(): boolean {
  const bits = /^CapEff:\s+([0-9a-f]+)$/m.exec(read('/proc/self/status') ?? '')?.[1]
  return bits === undefined ? process.getuid?.() === 0 : ((BigInt(`0x${bits}`) >> 10n) & 1n) === 1n
}

function numberIn(path: string): number | null {
  const value = Number.parseInt(read(path) ?? '', 10)
  return Number.isNaN(value) ? null : value
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
